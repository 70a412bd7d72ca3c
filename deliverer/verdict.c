#include "deliverer/verdict.h"

#include <inttypes.h>
#include <stdio.h>

enum http_status {
	HTTP_OK = 200,
	HTTP_REDIRECT = 300,
	HTTP_BAD_REQUEST = 400,
	HTTP_GONE = 410,
	HTTP_TOO_MANY_REQUESTS = 429,
	HTTP_UNAVAILABLE = 503,
};

unsigned
verdict_status(const struct verdict_case *c)
{
	if (c->problem != NULL || c->refused || c->status < HTTP_OK ||
	    c->status > 999)
		return 0;
	return c->status;
}

enum msg_verdict
verdict_of(const struct verdict_case *c)
{
	unsigned status = verdict_status(c);

	if (status >= HTTP_OK && status < HTTP_REDIRECT)
		return MSG_VERDICT_DELIVERED;
	if (status == HTTP_GONE || (status != 0 && c->unwanted))
		return MSG_VERDICT_DISABLE;
	return MSG_VERDICT_RETRY;
}

bool
verdict_may_ask(const struct verdict_case *c)
{
	unsigned status = verdict_status(c);

	return status == HTTP_TOO_MANY_REQUESTS || status == HTTP_UNAVAILABLE;
}

/* The fixed word for what went wrong below HTTP. */
static const char *
word(CURLcode code)
{
	switch ((int)code) {
	case CURLE_OPERATION_TIMEDOUT:
		return "timeout";
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return "dns";
	case CURLE_COULDNT_CONNECT:
	case CURLE_INTERFACE_FAILED:
		return "connect";
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return "tls";
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
		return "connection";
	case CURLE_URL_MALFORMAT:
		return "url";
	case CURLE_ABORTED_BY_CALLBACK:
		return "aborted";
	default:
		return "http";
	}
}

static void
describe(const struct verdict_case *c, char text[VERDICT_TEXT_SIZE])
{
	unsigned status = verdict_status(c);

	if (c->problem != NULL)
		(void)snprintf(text, VERDICT_TEXT_SIZE, "%s", c->problem);
	else if (c->refused)
		(void)snprintf(text, VERDICT_TEXT_SIZE,
		    "refused: the address may not be called");
	else if (status >= HTTP_BAD_REQUEST)
		(void)snprintf(text, VERDICT_TEXT_SIZE, "status: HTTP %u%s",
		    status, c->unwanted ? ", webhook-delivery: disable" : "");
	else if (status >= HTTP_REDIRECT)
		(void)snprintf(text, VERDICT_TEXT_SIZE,
		    "redirect: HTTP %u, not followed", status);
	else if (status == 0 && c->code == CURLE_OPERATION_TIMEDOUT)
		(void)snprintf(text, VERDICT_TEXT_SIZE,
		    "timeout: no answer after %" PRIu64 " ms", c->duration_ms);
	else if (status == 0 && c->code == CURLE_OK)
		(void)snprintf(text, VERDICT_TEXT_SIZE,
		    "http: status %u is no answer", c->status);
	else if (status == 0)
		(void)snprintf(text, VERDICT_TEXT_SIZE, "%s: %s", word(c->code),
		    c->detail[0] != '\0' ? c->detail
					 : curl_easy_strerror(c->code));
}

void
verdict_text(const struct verdict_case *c, char text[VERDICT_TEXT_SIZE])
{
	text[0] = '\0';
	describe(c, text);
	/* libcurl repeats bytes that a subscriber sent. */
	for (char *at = text; *at != '\0'; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
}
