#include "deliverer/easy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

#define USER_AGENT "Sluice/" SLUICE_VERSION
/* An answer is short; a large buffer per transfer costs more than it saves. */
#define READ_BUFFER_BYTES 4096L
#define UPLOAD_BUFFER_BYTES 16384L /* libcurl's smallest */
#define DNS_CACHE_S 60L
/* Close what is idle before common servers do (75 s and more), and everything
 * now and then, so that a name is looked up again. */
#define IDLE_CONNECTION_S 60L
#define CONNECTION_LIFE_S 300L

static size_t
on_write(char *data, size_t size, size_t count, void *arg)
{
	struct easy *e = arg;
	struct slice bytes = { (const uint8_t *)data, size * count };
	long status = 0;

	(void)curl_easy_getinfo(e->handle, CURLINFO_RESPONSE_CODE, &status);
	return excerpt_add(&e->excerpt, (unsigned)status, bytes) ? bytes.len
								 : 0;
}

static curl_socket_t
on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct easy *e = arg;

	if (purpose != CURLSOCKTYPE_IPCXN ||
	    !ssrf_allows(e->config->ssrf, &address->addr)) {
		e->refused = true;
		return CURL_SOCKET_BAD;
	}
	/* One refused address of several does not spoil an allowed one. */
	e->refused = false;
	return socket(address->family, address->socktype | SOCK_CLOEXEC,
	    address->protocol);
}

static int
on_request(
    void *arg, char *peer_ip, char *local_ip, int peer_port, int local_port)
{
	struct easy *e = arg;
	struct transfer *t = e->transfer;

	(void)local_ip;
	(void)local_port;
	if (!ssrf_allows_text(e->config->ssrf, peer_ip, (unsigned)peer_port))
		e->refused = true;
	else if (t->fence == NULL || fence_open(t->fence, clock_mono_ms())) {
		e->sent = true;
		return CURL_PREREQFUNC_OK;
	} else {
		/* libcurl sends again what a kept connection lost: then it
		 * is an attempt already. */
		e->fenced = !e->sent;
	}
	return CURL_PREREQFUNC_ABORT;
}

/* Options that no transfer changes. */
static bool
/* NOLINTNEXTLINE(readability-function-cognitive-complexity): a list */
set_up(struct easy *e)
{
	CURL *h = e->handle;
	long connect_ms = (long)e->config->connect_timeout_ms;
	CURLcode bad = CURLE_OK;

#define SET(option, value) \
	bad = bad != CURLE_OK ? bad : curl_easy_setopt(h, option, value)
	SET(CURLOPT_PRIVATE, (void *)e);
	SET(CURLOPT_ERRORBUFFER, e->error);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L); /* or a dead DNS server stops the multi */
	SET(CURLOPT_PROXY, "");	     /* also none from the environment */
	SET(CURLOPT_NOPROXY, "*");
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	/* Authorities from a file are read once for a multi; with a folder,
	 * too, libcurl reads all of them for each connection. */
	SET(CURLOPT_CAPATH, NULL);
	if (e->config->ca_file != NULL)
		SET(CURLOPT_CAINFO, e->config->ca_file);
	SET(CURLOPT_BUFFERSIZE, READ_BUFFER_BYTES);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER_BYTES);
	SET(CURLOPT_DNS_CACHE_TIMEOUT, DNS_CACHE_S);
	SET(CURLOPT_MAXAGE_CONN, IDLE_CONNECTION_S);
	SET(CURLOPT_MAXLIFETIME_CONN, CONNECTION_LIFE_S);
	SET(CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
	SET(CURLOPT_USERAGENT, USER_AGENT);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_WRITEFUNCTION, on_write);
	SET(CURLOPT_WRITEDATA, (void *)e);
	SET(CURLOPT_OPENSOCKETFUNCTION, on_socket);
	SET(CURLOPT_OPENSOCKETDATA, (void *)e);
	SET(CURLOPT_PREREQFUNCTION, on_request);
	SET(CURLOPT_PREREQDATA, (void *)e);
	SET(CURLOPT_HTTPHEADER, e->nodes);
#undef SET
	return bad == CURLE_OK;
}

struct easy *
easy_new(const struct easy_config *config)
{
	static char no_expect[] = "Expect:";
	struct easy *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->config = config;
	excerpt_init(&e->excerpt);
	/* libcurl copies a node as it is: one holds all of ours. */
	e->nodes[0] = (struct curl_slist){ e->headers, &e->nodes[1] };
	e->nodes[1] = (struct curl_slist){ no_expect, NULL };
	e->handle = curl_easy_init();
	if (e->handle == NULL || !set_up(e)) {
		easy_free(e);
		return NULL;
	}
	return e;
}

void
easy_free(struct easy *e)
{
	if (e == NULL)
		return;
	curl_easy_cleanup(e->handle);
	extra_free(e->extra);
	excerpt_done(&e->excerpt);
	free(e);
}

/* An event type comes from a connector's call: it must not end its line. */
static void
plain_text(const char *from, char *to, size_t size)
{
	size_t i = 0;

	for (; from[i] != '\0' && i + 1 < size; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	to[i] = '\0';
}

static bool
write_headers(struct easy *e, const struct transfer *t)
{
	char id[ID_TEXT_SIZE], event_type[LIMIT_TYPE_TEXT + 1];
	struct sign_result signs;
	struct sign_input in = { .app = t->app,
		.sealed = t->secret,
		.id = { (const uint8_t *)id, ID_TEXT_SIZE - 1 },
		.timestamp = clock_wall_ms() / 1000,
		.body = body_slice(t->body) };
	int len;

	id_text(t->id, id);
	if (sign_body(e->config->signer, &in, &signs) < 0) {
		e->problem = "secret: it cannot be opened, nothing was sent";
		return false;
	}
	plain_text(t->event_type, event_type, sizeof(event_type));
	len = snprintf(e->headers, sizeof(e->headers),
	    "content-type: application/json\r\n"
	    "x-apideck-event-type: %s\r\n"
	    "x-apideck-signature: %s\r\n"
	    "%s%s%s"
	    "webhook-id: %s\r\n"
	    "webhook-timestamp: %" PRIu64 "\r\n"
	    "webhook-signature: %s",
	    event_type, signs.apideck,
	    t->probe ? "" : "x-apideck-idempotency-key: ", t->probe ? "" : id,
	    t->probe ? "" : "\r\n", id, in.timestamp, signs.standard);
	return len > 0 && (size_t)len < sizeof(e->headers);
}

/* Most webhooks have none. */
static bool
add_extra(struct easy *e, const struct transfer *t)
{
	int r = -ENOMEM;

	e->nodes[1].next = NULL;
	if (t->headers.len == 0)
		return true;
	if (e->extra == NULL)
		e->extra = extra_new();
	if (e->extra != NULL)
		r = extra_open(e->extra, &e->config->seal, t->app, t->headers,
		    &e->nodes[1].next);
	if (r == -EBADMSG)
		e->problem = "headers: they cannot be opened, nothing was sent";
	return r == 0;
}

/* PIPEWAIT: a burst waits until the first connection says whether it can be
 * shared, instead of opening one each. */
static bool
set_version(struct easy *e, const struct transfer *t)
{
	if (t->http2 == e->http2)
		return true;
	e->http2 = t->http2;
	return curl_easy_setopt(e->handle, CURLOPT_HTTP_VERSION,
		   t->http2 ? (long)CURL_HTTP_VERSION_2TLS
			    : (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
	       curl_easy_setopt(e->handle, CURLOPT_PIPEWAIT, (long)t->http2) ==
		   CURLE_OK;
}

static bool
set_request(struct easy *e, const struct transfer *t)
{
	struct slice body = body_slice(t->body);
	uint64_t timeout =
	    t->timeout_ms > 0 ? t->timeout_ms : e->config->timeout_ms;
	CURL *h = e->handle;

	return curl_easy_setopt(h, CURLOPT_URL, t->url) == CURLE_OK &&
	       curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)timeout) ==
		   CURLE_OK &&
	       curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE,
		   (curl_off_t)body.len) == CURLE_OK &&
	       curl_easy_setopt(h, CURLOPT_POSTFIELDS, body.data) == CURLE_OK;
}

bool
easy_begin(struct easy *e, struct transfer *t)
{
	e->transfer = t;
	e->refused = e->fenced = e->aborted = e->sent = false;
	e->error[0] = '\0';
	e->started_us = clock_mono_us();
	t->started_ms = e->started_us / 1000;
	e->problem = ssrf_check_url(slice_text(t->url));
	if (e->problem != NULL)
		return false;
	if (write_headers(e, t) && add_extra(e, t) && set_version(e, t) &&
	    set_request(e, t))
		return true;
	if (e->problem == NULL)
		e->problem = "memory: it could not be sent";
	return false;
}

static void
keep_response(struct easy *e, struct transfer *t)
{
	buf_init(&t->response, LIMIT_EXCERPT_BYTES + 1);
	if (e->excerpt.kept.len > 0 &&
	    excerpt_text(&e->excerpt, &t->response) < 0)
		buf_done(&t->response);
	excerpt_clear(&e->excerpt);
	/* Most answers are empty or tiny: keep no large buffer for them. */
	if (e->excerpt.kept.cap > LIMIT_EXCERPT_OK_BYTES)
		excerpt_done(&e->excerpt);
}

static bool
says_disable(struct easy *e)
{
	struct curl_header *header;

	return curl_easy_header(e->handle, "webhook-delivery", 0, CURLH_HEADER,
		   -1, &header) == CURLHE_OK &&
	       strcasecmp(header->value, "disable") == 0;
}

void
easy_end(struct easy *e, CURLcode code)
{
	struct transfer *t = e->transfer;
	long status = 0;
	curl_off_t after_s = 0;
	struct verdict_case c = { .code = code,
		.refused = e->refused,
		.problem = e->problem,
		.detail = e->error,
		.duration_ms = (clock_mono_us() - e->started_us) / 1000 };

	e->transfer = NULL;
	if (e->extra != NULL)
		extra_wipe(e->extra);
	if (e->problem == NULL)
		(void)curl_easy_getinfo(
		    e->handle, CURLINFO_RESPONSE_CODE, &status);
	/* An attempt that was cut short by us has no answer that counts but a
	 * success. */
	if (e->aborted && (status < 200 || status > 299)) {
		status = 0;
		c.problem = "aborted: the deliverer was stopped";
	}
	c.status = (unsigned)status;
	c.unwanted = status >= 300 && says_disable(e);
	t->unsent = e->fenced ? UNSENT_FENCED : UNSENT_NOT;
	t->status = verdict_status(&c);
	t->verdict = verdict_of(&c);
	t->duration_ms = c.duration_ms;
	t->retry_after_ms = 0;
	if (verdict_may_ask(&c) &&
	    curl_easy_getinfo(e->handle, CURLINFO_RETRY_AFTER, &after_s) ==
		CURLE_OK &&
	    after_s > 0)
		t->retry_after_ms = after_s > INT32_MAX
					? UINT64_C(1000) * INT32_MAX
					: UINT64_C(1000) * (uint64_t)after_s;
	verdict_text(&c, t->error);
	keep_response(e, t);
}
