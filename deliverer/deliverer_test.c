/* The process as a whole: the test is its logger, over a real link, and its
 * subscriber, over real HTTP. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <czmq.h>

#include "common/crypto.h"
#include "common/id.h"
#include "common/seal.h"
#include "deliverer/test_logger.h"
#include "deliverer/test_receiver.h"

#define SLOTS 16
#define APP 7
#define SECRET "sk_live_test"
#define MINUTE_MS 60000
#define ENV_MAX 24

static const char template[] = "{\"payload\":{\"event_type\":\"crm.lead.x\","
			       "\"execution_attempt\":}}";
#define HOLE (sizeof(template) - 3)

struct world {
	char folder[64], address[96];
	struct receiver *receiver, *listener; /* the latter is "our own" */
	struct logger *logger;
	struct seal seal;
	struct buf secret; /* sealed */
	pid_t pid;
	int log; /* stderr of the process */
	char line[4096];
	size_t line_len;
	uint32_t deliveries;
};

/* ---- the process ------------------------------------------------------ */

static void
start(struct world *w, const char *drain)
{
	char values[ENV_MAX][160], *env[ENV_MAX + 1];
	char path[] = DELIVERER, *argv[] = { path, NULL };
	int pipes[2], n = 0;
	posix_spawn_file_actions_t actions;

#define SET(...) (void)snprintf(values[n++], sizeof(values[0]), __VA_ARGS__)
	SET("SLUICE_DATA=%s", w->folder);
	SET("SLUICE_LOGGER_LINK=%s", w->address);
	SET("SLUICE_ALLOW_NET=127.0.0.0/8");
	SET("SLUICE_RETRY_SCHEDULE=1m,2m");
	SET("SLUICE_RETRY_JITTER=0");
	SET("SLUICE_DELIVERER_SLOTS=%d", SLOTS);
	SET("SLUICE_INGEST_HTTP=127.0.0.1:%u", receiver_port(w->listener));
	SET("SLUICE_DRAIN=%s", drain);
	SET("http_proxy=http://127.0.0.1:1");
	SET("ASAN_OPTIONS=%s",
	    getenv("ASAN_OPTIONS") ? getenv("ASAN_OPTIONS") : "");
#undef SET
	for (int i = 0; i < n; i++)
		env[i] = values[i];
	env[n] = NULL;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipes[1], 2);
	assert_int_equal(
	    posix_spawn(&w->pid, path, &actions, NULL, argv, env), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(pipes[1]);
	w->log = pipes[0];
	w->line_len = 0;
}

/* Reads its log until a line has the text. */
static void
wait_log(struct world *w, const char *text)
{
	for (;;) {
		char *end = memchr(w->line, '\n', w->line_len);
		ssize_t n;

		if (end != NULL) {
			bool found;

			*end = '\0';
			found = strstr(w->line, text) != NULL;
			w->line_len -= (size_t)(end + 1 - w->line);
			memmove(w->line, end + 1, w->line_len);
			if (found)
				return;
			continue;
		}
		assert_true(w->line_len < sizeof(w->line));
		n = read(w->log, w->line + w->line_len,
		    sizeof(w->line) - w->line_len);
		if (n <= 0)
			fail_msg("the log ended without: %s", text);
		w->line_len += (size_t)n;
	}
}

/* Its exit status after SIGTERM. */
static int
stop(struct world *w)
{
	int status;

	assert_int_equal(kill(w->pid, SIGTERM), 0);
	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	w->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void
remove_folder(const char *folder)
{
	static const char *const inside[] = { "keys/master.key", "keys",
		"run/deliverer-1.slot", "run", "logger.sock",
		"logger.sock.lock", "" };
	char path[128];

	for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, inside[i]);
		(void)remove(path);
	}
}

static int
set_up_with(void **state, const char *drain)
{
	struct world *w = calloc(1, sizeof(*w));
	char path[96];

	assert_non_null(w);
	(void)snprintf(w->folder, sizeof(w->folder), "/tmp/sluice-dlv-XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	(void)snprintf(
	    w->address, sizeof(w->address), "ipc://%s/logger.sock", w->folder);
	(void)snprintf(path, sizeof(path), "%s/keys/master.key", w->folder);
	assert_int_equal(seal_load(&w->seal, path), 0);
	buf_init(&w->secret, 1024);
	assert_int_equal(
	    seal_close(&w->seal, "secret:7", slice_text(SECRET), &w->secret),
	    0);
	w->receiver = receiver_new();
	w->listener = receiver_new();
	w->logger = logger_new(w->address);
	start(w, drain);
	assert_true(logger_wait_room(w->logger, MSG_LANE_WORK, SLOTS));
	*state = w;
	return 0;
}

static int
set_up(void **state)
{
	return set_up_with(state, "10s");
}

static int
set_up_short(void **state)
{
	return set_up_with(state, "2s");
}

static int
tear_down(void **state)
{
	struct world *w = *state;
	int status = w->pid == 0 ? 0 : stop(w);

	close(w->log);
	logger_free(w->logger);
	receiver_free(w->receiver);
	receiver_free(w->listener);
	buf_done(&w->secret);
	remove_folder(w->folder);
	free(w);
	return status;
}

/* ---- deliveries ------------------------------------------------------- */

static struct id
delivery_id(uint32_t n)
{
	struct id id = { { 1, 2, 3, 4, 5, 6, 0x70, 8, 0x80 } };

	id.bytes[9] = (uint8_t)(n >> 8);
	id.bytes[10] = (uint8_t)n;
	return id_delivery(id, 42);
}

static struct msg
lease(struct world *w, const struct id *id, const char *url)
{
	return (struct msg){ .type = MSG_LEASE,
		.delivery = id_slice(id),
		.token = 1,
		.attempt = 1,
		.cycle_attempt = 1,
		.app = APP,
		.subscription = 42,
		.url = slice_text(url),
		.secret = buf_slice(&w->secret) };
}

static void
send_leases(struct world *w, struct buf *records, uint32_t count)
{
	struct id custody = id_custody(delivery_id(0));
	struct msg m = { .type = MSG_DELIVER,
		.custody = id_slice(&custody),
		.event_type = slice_text("crm.lead.x\r\nevil: 1"),
		.body = slice_text(template),
		.hole = HOLE,
		.deliveries = { buf_slice(records), count } };

	assert_true(logger_send(w->logger, &m));
	buf_done(records);
}

static void
send_one(struct world *w, const struct msg *record)
{
	struct buf records;

	buf_init(&records, LIMIT_MESSAGE_BYTES);
	assert_int_equal(msg_pack_record(record, &records), 0);
	send_leases(w, &records, 1);
}

static void
url_to(char url[128], struct receiver *r, const char *path)
{
	(void)snprintf(
	    url, 128, "http://127.0.0.1:%u%s", receiver_port(r), path);
}

/* Delivers to the path of the receiver, with what `base` says beyond. */
static struct msg
outcome_of(struct world *w, const char *url, const struct msg *base)
{
	size_t before = logger_count(w->logger, MSG_OUTCOME);
	struct id id = delivery_id(w->deliveries++);
	struct msg record = lease(w, &id, url), got;

	if (base != NULL) {
		record.cycle_attempt = base->cycle_attempt;
		record.flags = base->flags;
		record.timeout_ms = base->timeout_ms;
		record.schedule = base->schedule;
		record.age_ms = base->age_ms;
		if (base->secret.data != NULL)
			record.secret = base->secret;
		record.headers = base->headers;
		record.http2 = base->http2;
	}
	send_one(w, &record);
	assert_true(logger_wait(w->logger, MSG_OUTCOME, before + 1));
	got = logger_message(w->logger, MSG_OUTCOME, before);
	assert_true(slice_same(got.delivery, id_slice(&id)));
	assert_int_equal(got.token, 1);
	return got;
}

static struct msg
outcome_at(struct world *w, const char *path, const struct msg *base)
{
	char url[128];

	url_to(url, w->receiver, path);
	return outcome_of(w, url, base);
}

static void
send_hanging(struct world *w, uint32_t count)
{
	char url[128];
	struct buf records;

	url_to(url, w->receiver, "/hang");
	buf_init(&records, LIMIT_MESSAGE_BYTES);
	for (uint32_t i = 0; i < count; i++) {
		struct id id = delivery_id(w->deliveries++);
		struct msg record = lease(w, &id, url);

		assert_int_equal(msg_pack_record(&record, &records), 0);
	}
	send_leases(w, &records, count);
}

static void
has_line(const char *request, const char *name, const char *value)
{
	char line[512];
	const char *end = strstr(request, "\r\n\r\n"), *at;

	(void)snprintf(line, sizeof(line), "\r\n%s: %s\r\n", name, value);
	at = strcasestr(request, line);
	if (at == NULL || at > end)
		fail_msg("no %s in: %s", line, request);
}

static void
copy_value(const char *request, const char *name, char *value, size_t size)
{
	char start_[64];
	const char *at;

	(void)snprintf(start_, sizeof(start_), "\r\n%s: ", name);
	at = strcasestr(request, start_);
	assert_non_null(at);
	at += strlen(start_);
	(void)snprintf(value, size, "%.*s", (int)strcspn(at, "\r"), at);
}

/* ---- tests ------------------------------------------------------------ */

static void
check_signatures(const char *request, const char *id)
{
	const char *body = strstr(request, "\r\n\r\n") + 4;
	struct slice parts[] = { slice_text(id), slice_text("."),
		slice_text(NULL), slice_text("."), slice_text(body) };
	uint8_t mac[CRYPTO_HASH_SIZE];
	char hex[CRYPTO_HEX_SIZE], stamp[32], standard[64] = "v1,";
	struct buf text;

	crypto_hmac(slice_text(SECRET), &parts[4], 1, mac);
	crypto_hex((struct slice){ mac, sizeof(mac) }, hex);
	has_line(request, "x-apideck-signature", hex);
	copy_value(request, "webhook-timestamp", stamp, sizeof(stamp));
	parts[2] = slice_text(stamp);
	crypto_hmac(slice_text(SECRET), parts, 5, mac);
	buf_init(&text, 64);
	assert_int_equal(
	    crypto_base64((struct slice){ mac, sizeof(mac) }, &text), 0);
	assert_int_equal(
	    slice_copy(buf_slice(&text), standard + 3, sizeof(standard) - 3),
	    0);
	has_line(request, "webhook-signature", standard);
	buf_done(&text);
}

static void
test_delivered(void **state)
{
	struct world *w = *state;
	struct id id = delivery_id(w->deliveries++);
	char url[128], text[ID_TEXT_SIZE], *request;
	struct msg record, got;

	url_to(url, w->receiver, "/status/200?a=b");
	record = lease(w, &id, url);
	record.attempt = 3;
	record.cycle_attempt = 2;
	send_one(w, &record);
	assert_true(receiver_wait(w->receiver, 1));
	request = receiver_request(w->receiver, 0);
	id_text(id, text);
	assert_int_equal(
	    strncmp(request, "POST /status/200?a=b HTTP/1.1\r\n", 31), 0);
	has_line(request, "content-type", "application/json");
	has_line(request, "user-agent", "Sluice/" SLUICE_VERSION);
	has_line(request, "x-apideck-event-type", "crm.lead.x??evil: 1");
	has_line(request, "x-apideck-idempotency-key", text);
	has_line(request, "webhook-id", text);
	assert_null(strcasestr(request, "\r\nexpect:"));
	assert_string_equal(strstr(request, "\r\n\r\n") + 4,
	    "{\"payload\":{\"event_type\":\"crm.lead.x\","
	    "\"execution_attempt\":3}}");
	check_signatures(request, text);
	free(request);
	assert_true(logger_wait(w->logger, MSG_OUTCOME, 1));
	got = logger_message(w->logger, MSG_OUTCOME, 0);
	assert_true(slice_same(got.delivery, id_slice(&id)));
	assert_int_equal(got.token, 1);
	assert_int_equal(got.attempt, 3);
	assert_int_equal(got.status, 200);
	assert_int_equal(got.verdict, MSG_VERDICT_DELIVERED);
	assert_int_equal(got.delay_ms, 0);
	assert_int_equal(got.error.len, 0);
	assert_true(slice_is(got.response, "thanks"));
}

static void
close_headers(struct world *w, struct slice block, struct buf *sealed)
{
	buf_init(sealed, LIMIT_HEADERS_SEALED);
	assert_int_equal(seal_close(&w->seal, "headers:7", block, sealed), 0);
}

/* Beside ours and those of libcurl; the next POST has none of them. */
static void
test_own_headers(void **state)
{
	static const char block[] =
	    "authorization: Bearer x\0accept: text/plain\0cookie: a=b; c=d";
	struct world *w = *state;
	struct msg base = { .cycle_attempt = 1 };
	struct buf sealed;
	char *request;

	close_headers(w,
	    (struct slice){ (const uint8_t *)block, sizeof(block) }, &sealed);
	base.headers = buf_slice(&sealed);
	assert_int_equal(outcome_at(w, "/status/200", &base).status, 200);
	assert_int_equal(outcome_at(w, "/status/200", NULL).status, 200);
	buf_done(&sealed);
	request = receiver_request(w->receiver, 0);
	has_line(request, "authorization", "Bearer x");
	has_line(request, "accept", "text/plain");
	has_line(request, "cookie", "a=b; c=d");
	has_line(request, "content-type", "application/json");
	assert_null(strcasestr(request, "*/*"));
	assert_null(strcasestr(request, "\r\nexpect:"));
	free(request);
	request = receiver_request(w->receiver, 1);
	has_line(request, "accept", "*/*");
	assert_null(strcasestr(request, "\r\nauthorization"));
	assert_null(strcasestr(request, "\r\ncookie"));
	free(request);
}

/* Sealed by us and still able to end its line: not sent. */
static void
test_headers_that_inject(void **state)
{
	static const struct slice blocks[] = {
		{ (const uint8_t *)"a: b\r\nc: d", 11 },
		{ (const uint8_t *)"a: b\nc: d", 10 },
		{ (const uint8_t *)"host: evil.test", 16 },
		{ (const uint8_t *)"content-length: 0", 18 },
		{ (const uint8_t *)"webhook-signature: v1,x", 24 },
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		struct msg base = { .cycle_attempt = 1 }, got;
		struct buf sealed;

		close_headers(w, blocks[i], &sealed);
		base.headers = buf_slice(&sealed);
		got = outcome_at(w, "/status/200", &base);
		buf_done(&sealed);
		assert_int_equal(got.status, 0);
		assert_int_equal(got.verdict, MSG_VERDICT_RETRY);
		assert_memory_equal(got.error.data, "headers: ", 9);
	}
	assert_int_equal(receiver_count(w->receiver), 0);
}

/* Without TLS it is no HTTP/2, asks for none, and waits for nobody. */
static void
test_http2_is_for_tls(void **state)
{
	struct world *w = *state;
	struct msg base = { .cycle_attempt = 1, .http2 = true };
	char *request;

	send_hanging(w, 1);
	assert_true(receiver_wait(w->receiver, 1));
	assert_int_equal(outcome_at(w, "/status/200", &base).status, 200);
	assert_int_equal(outcome_at(w, "/status/200", &base).status, 200);
	request = receiver_request(w->receiver, 1);
	assert_non_null(strstr(request, " HTTP/1.1\r\n"));
	assert_null(strcasestr(request, "\r\nupgrade"));
	assert_null(strcasestr(request, "\r\nhttp2-settings"));
	free(request);
	receiver_release(w->receiver);
	assert_true(logger_wait(w->logger, MSG_OUTCOME, 3));
}

static const struct {
	const char *path;
	struct msg base;
	uint64_t status;
	enum msg_verdict verdict;
	uint64_t delay_ms;
	const char *error; /* how it starts */
	size_t response_len;
} answers[] = {
	{ "/status/204", { .cycle_attempt = 1 }, 204, MSG_VERDICT_DELIVERED, 0,
	    "", 0 },
	{ "/status/500", { .cycle_attempt = 1 }, 500, MSG_VERDICT_RETRY,
	    MINUTE_MS, "status: HTTP 500", 6 },
	{ "/status/404", { .cycle_attempt = 2 }, 404, MSG_VERDICT_RETRY,
	    2 * MINUTE_MS, "status: HTTP 404", 6 },
	/* the schedule is at its end, or the life, or one was all */
	{ "/status/500", { .cycle_attempt = 3 }, 500, MSG_VERDICT_GIVE_UP, 0,
	    "status: HTTP 500", 6 },
	{ "/status/500", { .cycle_attempt = 1, .age_ms = 24 * 60 * MINUTE_MS },
	    500, MSG_VERDICT_GIVE_UP, 0, "status: HTTP 500", 6 },
	{ "/status/500", { .cycle_attempt = 1, .flags = MSG_FLAG_ONCE }, 500,
	    MSG_VERDICT_GIVE_UP, 0, "status: HTTP 500", 6 },
	{ "/status/410", { .cycle_attempt = 1, .flags = MSG_FLAG_ONCE }, 410,
	    MSG_VERDICT_GIVE_UP, 0, "status: HTTP 410", 6 },
	{ "/status/500", { .cycle_attempt = 1, .flags = MSG_FLAG_ALONE }, 500,
	    MSG_VERDICT_RETRY, MINUTE_MS, "status: HTTP 500", 6 },
	{ "/status/410", { .cycle_attempt = 1 }, 410, MSG_VERDICT_DISABLE, 0,
	    "status: HTTP 410", 6 },
	{ "/disable/400", { .cycle_attempt = 1 }, 400, MSG_VERDICT_DISABLE, 0,
	    "status: HTTP 400, webhook-delivery: disable", 0 },
	{ "/disable/200", { .cycle_attempt = 1 }, 200, MSG_VERDICT_DELIVERED, 0,
	    "", 0 },
	{ "/status/302", { .cycle_attempt = 1 }, 302, MSG_VERDICT_RETRY,
	    MINUTE_MS, "redirect: HTTP 302", 6 },
	{ "/after/503/1000", { .cycle_attempt = 1 }, 503, MSG_VERDICT_RETRY,
	    1000000, "status: HTTP 503", 0 },
	{ "/after/429/1", { .cycle_attempt = 1 }, 429, MSG_VERDICT_RETRY,
	    MINUTE_MS, "status: HTTP 429", 0 },
	{ "/after/500/1000", { .cycle_attempt = 1 }, 500, MSG_VERDICT_RETRY,
	    MINUTE_MS, "status: HTTP 500", 0 },
	/* long, cut and broken answers */
	{ "/flow/200", { .cycle_attempt = 1 }, 200, MSG_VERDICT_DELIVERED, 0,
	    "", LIMIT_EXCERPT_OK_BYTES },
	{ "/flow/500", { .cycle_attempt = 1 }, 500, MSG_VERDICT_RETRY,
	    MINUTE_MS, "status: HTTP 500", LIMIT_EXCERPT_BYTES },
	{ "/bytes/500", { .cycle_attempt = 1 }, 500, MSG_VERDICT_RETRY,
	    MINUTE_MS, "status: HTTP 500", 8 },
	{ "/cut/200", { .cycle_attempt = 1 }, 200, MSG_VERDICT_DELIVERED, 0, "",
	    4 },
	{ "/hang", { .cycle_attempt = 1, .timeout_ms = 200 }, 0,
	    MSG_VERDICT_RETRY, MINUTE_MS, "timeout: ", 0 },
	{ "/close", { .cycle_attempt = 1 }, 0, MSG_VERDICT_RETRY, MINUTE_MS,
	    "connection: ", 0 },
	{ "/garbage", { .cycle_attempt = 1 }, 0, MSG_VERDICT_RETRY, MINUTE_MS,
	    "http: ", 0 },
	{ "/status/200",
	    { .cycle_attempt = 1, .secret = { (const uint8_t *)"??", 2 } }, 0,
	    MSG_VERDICT_RETRY, MINUTE_MS, "secret: ", 0 },
	{ "/status/200",
	    { .cycle_attempt = 1, .headers = { (const uint8_t *)"??", 2 } }, 0,
	    MSG_VERDICT_RETRY, MINUTE_MS, "headers: ", 0 },
	{ "/status/500",
	    { .cycle_attempt = 1, .schedule = { (const uint8_t *)"7s", 2 } },
	    500, MSG_VERDICT_RETRY, 7000, "status: HTTP 500", 6 },
};

static void
test_answers(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct msg m = outcome_at(w, answers[i].path, &answers[i].base);
		uint64_t late = answers[i].delay_ms - m.delay_ms;

		if (m.status != answers[i].status ||
		    m.verdict != answers[i].verdict || late > 1000 ||
		    m.error.len < strlen(answers[i].error) ||
		    (m.error.len > 0 && memcmp(m.error.data, answers[i].error,
					    strlen(answers[i].error)) != 0) ||
		    m.response.len != answers[i].response_len)
			fail_msg("row %zu: status %" PRIu64 " verdict %" PRIu64
				 " delay %" PRIu64 " error %.*s response %zu",
			    i, m.status, m.verdict, m.delay_ms,
			    (int)m.error.len,
			    m.error.len > 0 ? (const char *)m.error.data : "",
			    m.response.len);
	}
}

static void
check_refused(struct world *w, const char *url, const char *why)
{
	struct msg m = outcome_of(w, url, NULL);

	assert_int_equal(m.status, 0);
	assert_int_equal(m.verdict, MSG_VERDICT_RETRY);
	if (m.error.len < strlen(why) ||
	    memcmp(m.error.data, why, strlen(why)) != 0)
		fail_msg("%s: %.*s", url, (int)m.error.len,
		    (const char *)m.error.data);
}

static void
test_refused_addresses(void **state)
{
	struct world *w = *state;
	char url[128];

	check_refused(w, "http://10.0.0.1/", "refused: ");
	check_refused(w, "http://169.254.169.254/latest", "refused: ");
	check_refused(w, "http://[::ffff:10.0.0.1]/", "refused: ");
	check_refused(w, "http://0/", "refused: ");
	check_refused(w, "http://3232235777/", "refused: "); /* 192.168.1.1 */
	check_refused(w, "ftp://127.0.0.1/", "url: ");
	check_refused(w, "http://u:p@127.0.0.1/", "url: ");
	/* loopback is allowed here, but not a listener of our own */
	url_to(url, w->listener, "/status/200");
	check_refused(w, url, "refused: ");
	assert_int_equal(receiver_count(w->listener), 0);
}

static void
test_many_leases_of_one_body(void **state)
{
	struct world *w = *state;
	bool seen[3] = { false };
	char url[128];
	struct buf records;

	url_to(url, w->receiver, "/status/200");
	buf_init(&records, LIMIT_MESSAGE_BYTES);
	for (uint32_t i = 0; i < 4; i++) {
		/* the last says the first again */
		struct id id = delivery_id(i % 3);
		struct msg record = lease(w, &id, url);

		record.attempt = i % 3 + 1;
		assert_int_equal(msg_pack_record(&record, &records), 0);
	}
	send_leases(w, &records, 4);
	assert_true(logger_wait(w->logger, MSG_OUTCOME, 3));
	assert_true(logger_wait_room(w->logger, MSG_LANE_WORK, SLOTS));
	assert_int_equal(logger_count(w->logger, MSG_OUTCOME), 3);
	assert_int_equal(receiver_count(w->receiver), 3);
	for (size_t i = 0; i < 3; i++) {
		char *request = receiver_request(w->receiver, i);
		const char *at = strstr(request, "attempt\":");

		assert_in_range(at[9], '1', '3');
		seen[at[9] - '1'] = true;
		free(request);
	}
	assert_true(seen[0] && seen[1] && seen[2]);
}

static void
test_probe(void **state)
{
	struct world *w = *state;
	struct msg m = { .type = MSG_PROBE,
		.query = 99,
		.app = APP,
		.event_type = slice_text("apideck.subscription.created"),
		.body = slice_text("{\"message\":\"Validating delivery URL\"}"),
		.secret = buf_slice(&w->secret),
		.timeout_ms = 5000 };
	char url[128], *request;
	struct buf sealed;

	close_headers(
	    w, (struct slice){ (const uint8_t *)"x-key: 1", 9 }, &sealed);
	m.headers = buf_slice(&sealed);
	url_to(url, w->receiver, "/status/200");
	m.url = slice_text(url);
	assert_true(logger_send(w->logger, &m));
	url_to(url, w->receiver, "/status/503");
	m.query = 100;
	assert_true(logger_send(w->logger, &m));
	m.query = 101;
	m.url = slice_text("http://10.0.0.1/");
	assert_true(logger_send(w->logger, &m));
	buf_done(&sealed);
	assert_true(logger_wait(w->logger, MSG_PROBED, 3));
	for (size_t i = 0; i < 3; i++) {
		struct msg got = logger_message(w->logger, MSG_PROBED, i);

		assert_in_range(got.query, 99, 101);
		if (got.query == 99) {
			assert_int_equal(got.status, 200);
			assert_int_equal(got.verdict, MSG_VERDICT_DELIVERED);
			continue;
		}
		assert_int_equal(got.status, got.query == 100 ? 503 : 0);
		assert_int_equal(got.verdict, MSG_VERDICT_RETRY);
		assert_true(got.error.len > 0);
	}
	request = receiver_request(w->receiver, 0);
	has_line(
	    request, "x-apideck-event-type", "apideck.subscription.created");
	has_line(request, "x-apideck-signature",
	    "f2408ee602775022275d7a7a24be105445bb4899487321721ec56100c31d81c2");
	has_line(request, "x-key", "1");
	assert_null(strcasestr(request, "idempotency-key"));
	free(request);
}

static void
test_credit_is_free_slots(void **state)
{
	struct world *w = *state;

	for (uint32_t i = 0; i < SLOTS; i++)
		send_hanging(w, 1);
	assert_true(receiver_wait(w->receiver, SLOTS));
	assert_true(logger_wait_room(w->logger, MSG_LANE_WORK, 0));
	receiver_release(w->receiver);
	assert_true(logger_wait(w->logger, MSG_OUTCOME, SLOTS));
	assert_true(logger_wait_room(w->logger, MSG_LANE_WORK, SLOTS));
}

static void
test_new_session_is_told_what_is_held(void **state)
{
	struct world *w = *state;
	struct msg held, record;
	struct msg_list list;
	uint32_t i = 0;

	assert_true(logger_wait(w->logger, MSG_HELD, 1));
	held = logger_message(w->logger, MSG_HELD, 0);
	assert_int_equal(held.leases.count, 0);
	assert_int_equal(held.parts, 1);
	send_hanging(w, 3);
	assert_true(receiver_wait(w->receiver, 3));
	logger_free(w->logger);
	receiver_release(w->receiver); /* answered while no logger is there */
	w->logger = logger_new(w->address);
	assert_true(logger_wait(w->logger, MSG_HELD, 1));
	held = logger_message(w->logger, MSG_HELD, 0);
	list = held.leases;
	while (msg_next(&list, MSG_LEASE_ID, &record)) {
		assert_int_equal(record.token, 1);
		i++;
	}
	assert_int_equal(i, 3);
	assert_true(logger_wait(w->logger, MSG_OUTCOME, 3));
	for (i = 0; i < 3; i++)
		assert_int_equal(
		    logger_message(w->logger, MSG_OUTCOME, i).verdict,
		    MSG_VERDICT_DELIVERED);
	assert_true(logger_wait_room(w->logger, MSG_LANE_WORK, SLOTS));
	assert_int_equal(receiver_count(w->receiver), 3);
}

/* Waits for `count` leases given back for the reason, in any number of parts.
 */
static void
wait_released(struct world *w, uint32_t count, const char *reason)
{
	uint32_t sum = 0;

	for (size_t i = 0; sum < count; i++) {
		struct msg m;

		assert_true(logger_wait(w->logger, MSG_RELEASE, i + 1));
		m = logger_message(w->logger, MSG_RELEASE, i);
		assert_memory_equal(m.reason.data, reason, strlen(reason));
		sum += m.leases.count;
	}
	assert_int_equal(sum, count);
}

static void
test_fence(void **state)
{
	struct world *w = *state;

	/* more than slots: eight wait unstarted */
	send_hanging(w, SLOTS + 8);
	assert_true(receiver_wait(w->receiver, SLOTS));
	logger_block(w->logger, true);
	wait_log(w, "nothing is started");
	logger_block(w->logger, false);
	receiver_release(w->receiver);
	wait_released(w, 8, "fenced");
	assert_true(logger_wait(w->logger, MSG_OUTCOME, SLOTS));
	assert_true(logger_wait_room(w->logger, MSG_LANE_WORK, SLOTS));
	assert_int_equal(receiver_count(w->receiver), SLOTS);
}

static void
test_drain(void **state)
{
	struct world *w = *state;
	struct msg m;

	send_hanging(w, SLOTS + 5);
	assert_true(receiver_wait(w->receiver, SLOTS));
	assert_int_equal(stop(w), 0);
	wait_released(w, 5, "drain");
	assert_true(logger_wait(w->logger, MSG_OUTCOME, SLOTS));
	for (size_t i = 0; i < SLOTS; i++) {
		m = logger_message(w->logger, MSG_OUTCOME, i);
		assert_int_equal(m.status, 0);
		assert_int_equal(m.verdict, MSG_VERDICT_RETRY);
		assert_memory_equal(m.error.data, "aborted", 7);
	}
	assert_int_equal(receiver_count(w->receiver), SLOTS);
}

static void
test_drain_waits_for_answers(void **state)
{
	struct world *w = *state;

	send_hanging(w, 2);
	assert_true(receiver_wait(w->receiver, 2));
	assert_int_equal(kill(w->pid, SIGTERM), 0);
	wait_log(w, "draining");
	receiver_release(w->receiver);
	assert_true(logger_wait(w->logger, MSG_OUTCOME, 2));
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(
		    logger_message(w->logger, MSG_OUTCOME, i).status, 200);
	wait_log(w, "drained");
	assert_int_equal(waitpid(w->pid, NULL, 0), w->pid);
	w->pid = 0;
}

static void
test_nonsense_is_a_failed_attempt(void **state)
{
	struct world *w = *state;
	struct id custody = id_custody(delivery_id(0));
	struct msg m = { .type = MSG_DELIVER,
		.custody = id_slice(&custody),
		.event_type = slice_text("x"),
		.body = slice_text("{}"),
		.hole = 2 };
	struct id id = delivery_id(1);
	struct msg record = lease(w, &id, "http://127.0.0.1/");
	struct buf records;

	buf_init(&records, 4096);
	assert_int_equal(msg_pack_record(&record, &records), 0);
	m.deliveries = (struct msg_list){ buf_slice(&records), 1 };
	assert_true(logger_send(w->logger, &m));
	buf_done(&records);
	assert_true(logger_wait(w->logger, MSG_OUTCOME, 1));
	m = logger_message(w->logger, MSG_OUTCOME, 0);
	assert_int_equal(m.status, 0);
	assert_int_equal(m.verdict, MSG_VERDICT_RETRY);
	assert_memory_equal(m.error.data, "body: ", 6);
	/* and it goes on */
	w->deliveries = 2;
	assert_int_equal(
	    outcome_at(w, "/status/200", NULL).verdict, MSG_VERDICT_DELIVERED);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_delivered),
		TEST(test_answers),
		TEST(test_own_headers),
		TEST(test_headers_that_inject),
		TEST(test_http2_is_for_tls),
		TEST(test_refused_addresses),
		TEST(test_many_leases_of_one_body),
		TEST(test_probe),
		TEST(test_credit_is_free_slots),
		TEST(test_new_session_is_told_what_is_held),
		TEST(test_fence),
		cmocka_unit_test_setup_teardown(
		    test_drain, set_up_short, tear_down),
		TEST(test_drain_waits_for_answers),
		TEST(test_nonsense_is_a_failed_attempt),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	zsys_handler_set(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
