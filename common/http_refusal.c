#include "common/http_refusal.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/buf.h"
#include "common/log.h"

#define BODY_MAX 4096
#define READS_MAX 16

/* ISO C has no way from a symbol to a function, POSIX says they are alike. */
http_queue_fn *
http_refusal_real(void)
{
	void *symbol = dlsym(RTLD_NEXT, "MHD_queue_response");
	http_queue_fn *real = NULL;

	memcpy(&real, &symbol, sizeof(real));
	return real;
}

http_value_fn *
http_refusal_real_value(void)
{
	void *symbol = dlsym(RTLD_NEXT, "MHD_set_connection_value_n");
	http_value_fn *real = NULL;

	memcpy(&real, &symbol, sizeof(real));
	return real;
}

void
http_refusal_send(
    int fd, enum http_error error, const char *detail, struct id id)
{
	unsigned status = http_error_status(error);
	char id_as_text[ID_TEXT_SIZE];
	struct buf body, text;

	buf_init(&body, BODY_MAX);
	buf_init(&text, 2 * BODY_MAX);
	id_text(id, id_as_text);
	if (http_error_body(error, NULL, json_string(detail), &body) == 0 &&
	    buf_addf(&text,
		"HTTP/1.1 %u %s\r\n"
		"Content-Type: application/json\r\nRequest-Id: %s\r\n"
		"Connection: close\r\nContent-Length: %zu\r\n\r\n%.*s",
		status, MHD_get_reason_phrase_for(status), id_as_text, body.len,
		(int)body.len, (const char *)body.data) == 0 &&
	    send(fd, text.data, text.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("%u not sent: %s", status, strerror(errno));
	buf_done(&body);
	buf_done(&text);
}

/* What is unread when a socket is closed makes it a reset, which may overtake
 * the answer. */
static void
read_rest(int fd)
{
	char rest[4096];

	for (unsigned i = 0; i < READS_MAX; i++)
		if (recv(fd, rest, sizeof(rest), MSG_DONTWAIT) <= 0)
			return;
}

/* Called by libmicrohttpd alone. MHD_NO makes it close the connection. */
enum MHD_Result
MHD_queue_response(struct MHD_Connection *connection, unsigned int status_code,
    struct MHD_Response *response)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	    connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct id_maker ids;

	(void)response;
	if (info == NULL)
		return MHD_NO;
	id_maker_init(&ids);
	read_rest(info->connect_fd);
	http_refusal_send(info->connect_fd, http_error_of(status_code),
	    "The request is not HTTP as it is understood here.", id_make(&ids));
	return MHD_NO;
}
