/*
 * What strangers say of a vendor's signature: a header, a timestamp and a body,
 * one line each. Nobody guesses a signature; a right one stays right whatever
 * else a list holds, as long as it is no longer than a list may be.
 */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "common/crypto.h"
#include "ingest/signature.h"
#include "tests/fuzz/fuzz.h"

#define NOW_S "1531420618"
#define HEADER_MAX 4096
#define LIST_HEAD (sizeof("t=" NOW_S ",v1=,") + CRYPTO_HEX_SIZE)

static const char *const schemes[] = {
	"{\"scheme\":\"hmac-sha256\",\"header\":\"S\",\"encoding\":\"hex\","
	"\"list\":\"v1\",\"signed\":[\"timestamp\",{\"text\":\".\"},\"body\"],"
	"\"timestamp\":{\"list\":\"t\",\"unit\":\"s\"}}",
	"{\"scheme\":\"hmac-sha256\",\"header\":\"S\",\"encoding\":\"base64\","
	"\"signed\":[\"method\",\"uri\",\"body\",\"timestamp\"],"
	"\"uri_decodes\":\":/\","
	"\"timestamp\":{\"header\":\"T\",\"unit\":\"ms\"}}",
	"{\"scheme\":\"hmac-sha256\",\"header\":\"S\",\"encoding\":\"hex\","
	"\"prefix\":\"v0=\"}",
	"{\"scheme\":\"token\",\"header\":\"S\",\"prefix\":\"Basic \","
	"\"encoding\":\"base64\"}",
	"{\"scheme\":\"token\",\"item\":\"/a\"}",
};
#define SCHEMES (sizeof(schemes) / sizeof(*schemes))

struct input {
	char header[HEADER_MAX], timestamp[64];
	struct slice body;
};

static struct signature *signatures[SCHEMES];

static const char *
header(const void *arg, const char *name)
{
	const struct input *input = arg;

	return *name == 'S' ? input->header : input->timestamp;
}

/* The first line; what is behind a NUL does not count. */
static void
take_line(struct slice *rest, char *text, size_t size)
{
	const uint8_t *end =
	    rest->len == 0 ? NULL : memchr(rest->data, '\n', rest->len);
	size_t len = end == NULL ? rest->len : (size_t)(end - rest->data);
	size_t kept = len < size ? len : size - 1;

	if (kept > 0)
		memcpy(text, rest->data, kept);
	text[kept] = '\0';
	len += end != NULL;
	if (len > 0)
		*rest = (struct slice){ rest->data + len, rest->len - len };
}

static void
check_list(struct input *input, const struct signature_call *call)
{
	const struct slice parts[] = { slice_text(NOW_S "."), input->body };
	uint8_t mac[CRYPTO_HASH_SIZE];
	char hex[CRYPTO_HEX_SIZE], others[HEADER_MAX - LIST_HEAD];
	size_t elements = 2;

	crypto_hmac(slice_text("secret"), parts, 2, mac);
	crypto_hex((struct slice){ mac, sizeof(mac) }, hex);
	(void)snprintf(others, sizeof(others), "%s", input->header);
	for (const char *at = others; *at != '\0'; at++) /* each one's end */
		elements += *at == ',' || at[1] == '\0';
	(void)snprintf(input->header, sizeof(input->header),
	    "t=" NOW_S ",v1=%s,%s", hex, others);
	HOLDS((signature_check(signatures[0], slice_text("secret"), call) ==
		  SIGNATURE_RIGHT) == (elements <= SIGNATURE_LIST_MAX));
}

static void
read_schemes(void)
{
	if (signatures[0] != NULL)
		return;
	for (size_t i = 0; i < SCHEMES; i++) {
		static json_t *files[SCHEMES]; /* the signatures' texts */

		files[i] = json_loads(schemes[i], 0, NULL);
		HOLDS(signature_read(files[i], &signatures[i]) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct input input;
	struct signature_call call = {
		.method = "POST",
		.base = slice_text("https://in.example.com"),
		.now_ms = UINT64_C(1531420618000),
		.header = header,
		.arg = &input,
		.items = JSON_NONE,
	};
	struct json json;

	read_schemes();
	input.body = (struct slice){ data, size };
	take_line(&input.body, input.header, sizeof(input.header));
	take_line(&input.body, input.timestamp, sizeof(input.timestamp));
	call.body = input.body;
	call.target = slice_text(input.timestamp);
	json_init(&json);
	if (json_parse(&json, input.body) == 0) {
		call.json = &json;
		call.items = 0;
	}
	for (size_t i = 0; i < SCHEMES; i++)
		HOLDS(signature_check(signatures[i],
			  slice_text("no text in UTF-8: \xff"),
			  &call) != SIGNATURE_RIGHT);
	check_list(&input, &call);
	json_done(&json);
	return 0;
}
