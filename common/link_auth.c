#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/link_private.h"
#include "common/log.h"

/* RFC 27 (ZAP): a socket in the same context decides who may shake hands. */
#define ZAP_ADDRESS "inproc://zeromq.zap.01"
#define ZAP_DOMAIN "sluice"
#define ZAP_FRAMES 7 /* of a CURVE request; the last is the key */
#define ZAP_AT_ONCE 64
#define KEY_SIZE 32
#define PATH_TEXT 4096
#define RELOAD_MS 1000 /* key files are read at most this often */

struct known {
	uint8_t key[KEY_SIZE];
	enum stage stage;
};

struct link_auth {
	struct link *link;
	zcert_t *own;
	zsock_t *zap; /* where we answer; only a bound link does */
	struct known known[2 * STAGE_MAX];
	unsigned known_count;
	uint64_t read_ms;
};

/* NULL when there is no such file, or it holds no certificate. */
static zcert_t *
load(const struct link_auth *a, enum stage stage, const char *suffix)
{
	char path[PATH_TEXT];
	int len = snprintf(path, sizeof(path), "%s/%s%s",
	    a->link->config.keys_folder, stage_name(stage), suffix);

	if (len < 0 || (size_t)len >= sizeof(path) || access(path, R_OK) < 0)
		return NULL;
	return zcert_load(path);
}

static const char *
suffix_of(unsigned key)
{
	return key == 0 ? ".pub" : ".next.pub";
}

/* Keys may be added and replaced while we run. */
static void
read_known(struct link_auth *a)
{
	uint64_t now = clock_mono_ms();

	if (a->read_ms != 0 && now < a->read_ms + RELOAD_MS)
		return;
	a->read_ms = now;
	a->known_count = 0;
	for (unsigned s = STAGE_NONE + 1; s < STAGE_MAX; s++)
		for (unsigned key = 0; key < 2; key++) {
			struct known *k = &a->known[a->known_count];
			zcert_t *cert = load(a, (enum stage)s, suffix_of(key));

			if (cert == NULL)
				continue;
			memcpy(k->key, zcert_public_key(cert), KEY_SIZE);
			k->stage = (enum stage)s;
			a->known_count++;
			zcert_destroy(&cert);
		}
}

static enum stage
stage_of_key(struct link_auth *a, const uint8_t *key)
{
	read_known(a);
	for (unsigned i = 0; i < a->known_count; i++)
		if (memcmp(a->known[i].key, key, KEY_SIZE) == 0)
			return a->known[i].stage;
	return STAGE_NONE;
}

/* ---- answering --------------------------------------------------------- */

struct request {
	zmq_msg_t frames[ZAP_FRAMES];
	unsigned count;
};

static bool
receive(void *sock, struct request *q)
{
	bool more = true;

	for (q->count = 0; more;) {
		zmq_msg_t part;

		zmq_msg_init(&part);
		if (zmq_msg_recv(&part, sock, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(&part);
			return q->count > 0;
		}
		more = zmq_msg_more(&part);
		if (q->count < ZAP_FRAMES)
			q->frames[q->count++] = part;
		else
			zmq_msg_close(&part);
	}
	return true;
}

static void
send_text(void *sock, const char *text, bool more)
{
	(void)zmq_send(
	    sock, text, strlen(text), ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
}

static void
answer(struct link_auth *a, void *sock, struct request *q)
{
	enum { VERSION, ID, DOMAIN, ADDRESS, IDENTITY, MECHANISM, KEY };
	enum stage stage = STAGE_NONE;
	char note[128];

	if (q->count == ZAP_FRAMES &&
	    zmq_msg_size(&q->frames[MECHANISM]) == 5 &&
	    memcmp(zmq_msg_data(&q->frames[MECHANISM]), "CURVE", 5) == 0 &&
	    zmq_msg_size(&q->frames[KEY]) == KEY_SIZE)
		stage = stage_of_key(a, zmq_msg_data(&q->frames[KEY]));
	if (stage == STAGE_NONE && q->count > ADDRESS) {
		(void)snprintf(note, sizeof(note), "key from %.*s",
		    (int)zmq_msg_size(&q->frames[ADDRESS]),
		    (const char *)zmq_msg_data(&q->frames[ADDRESS]));
		if (link_note(a->link, note))
			log_warn(
			    "link refused why=\"key: unknown\" %s", note + 4);
	}
	send_text(sock, "1.0", true);
	if (q->count > ID)
		(void)zmq_send(sock, zmq_msg_data(&q->frames[ID]),
		    zmq_msg_size(&q->frames[ID]), ZMQ_DONTWAIT | ZMQ_SNDMORE);
	else
		send_text(sock, "", true);
	send_text(sock, stage == STAGE_NONE ? "400" : "200", true);
	send_text(sock, stage == STAGE_NONE ? "unknown key" : "OK", true);
	send_text(sock, stage == STAGE_NONE ? "" : stage_name(stage), true);
	send_text(sock, "", false);
}

static void
on_request(void *arg)
{
	struct link_auth *a = arg;
	void *sock = link_sock(a->zap);
	struct request q;

	for (unsigned n = 0; n < ZAP_AT_ONCE && receive(sock, &q); n++) {
		answer(a, sock, &q);
		for (unsigned i = 0; i < q.count; i++)
			zmq_msg_close(&q.frames[i]);
	}
}

/* ---- the sockets ------------------------------------------------------- */

static bool
has_secret(zcert_t *cert)
{
	static const uint8_t none[KEY_SIZE];

	return memcmp(zcert_secret_key(cert), none, KEY_SIZE) != 0;
}

int
link_auth_new(struct link *l, struct link_auth **ret)
{
	struct link_auth *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return -ENOMEM;
	a->link = l;
	a->own = load(a, l->config.stage, ".key");
	if (a->own == NULL || !has_secret(a->own)) {
		link_auth_free(a);
		return -EACCES;
	}
	*ret = a;
	return 0;
}

void
link_auth_free(struct link_auth *a)
{
	if (a == NULL)
		return;
	if (a->zap != NULL) {
		loop_del_sock(a->link->loop, a->zap);
		/* A closed socket keeps its name until libzmq's own thread
		 * has reaped it; the next link of this process wants it. */
		(void)zmq_unbind(link_sock(a->zap), ZAP_ADDRESS);
	}
	zsock_destroy(&a->zap);
	zcert_destroy(&a->own);
	free(a);
}

static int
set_keys(struct link_auth *a, zsock_t *sock)
{
	void *s = link_sock(sock);

	if (zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, zcert_public_key(a->own),
		KEY_SIZE) < 0 ||
	    zmq_setsockopt(
		s, ZMQ_CURVE_SECRETKEY, zcert_secret_key(a->own), KEY_SIZE) < 0)
		return -errno;
	return 0;
}

int
link_auth_serve(struct link_auth *a, zsock_t *router)
{
	int one = 1, r;

	a->zap = zsock_new(ZMQ_REP);
	if (a->zap == NULL)
		return -ENOMEM;
	if (zmq_bind(link_sock(a->zap), ZAP_ADDRESS) < 0)
		return -errno;
	r = loop_add_sock(a->link->loop, a->zap, on_request, a);
	if (r < 0)
		return r;
	r = set_keys(a, router);
	if (r < 0)
		return r;
	if (zmq_setsockopt(
		link_sock(router), ZMQ_CURVE_SERVER, &one, sizeof(one)) < 0 ||
	    zmq_setsockopt(link_sock(router), ZMQ_ZAP_DOMAIN, ZAP_DOMAIN,
		strlen(ZAP_DOMAIN)) < 0)
		return -errno;
	return 0;
}

int
link_auth_connect(
    struct link_auth *a, zsock_t *dealer, enum stage to, unsigned key)
{
	zcert_t *cert = load(a, to, suffix_of(key));
	int r;

	if (cert == NULL)
		return -ENOENT;
	r = set_keys(a, dealer);
	if (r == 0 && zmq_setsockopt(link_sock(dealer), ZMQ_CURVE_SERVERKEY,
			  zcert_public_key(cert), KEY_SIZE) < 0)
		r = -errno;
	zcert_destroy(&cert);
	return r;
}

enum stage
link_auth_stage(zmq_msg_t *frame)
{
	return stage_from(slice_text(zmq_msg_gets(frame, "User-Id")));
}
