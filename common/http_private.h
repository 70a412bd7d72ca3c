/*
 * What the files of http.h share; nobody else includes it.
 *
 * http.c is libmicrohttpd and its callbacks, http_conn.c the connections and
 * their deadlines, http_request.c what a handler reads of a request and
 * answers, http_listen.h the socket.
 */
#ifndef SLUICE_HTTP_PRIVATE_H
#define SLUICE_HTTP_PRIVATE_H

#include <microhttpd.h>

#include "common/http.h"
#include "common/http_query.h"
#include "common/http_refusal.h"

#define HTTP_ADDRESS_TEXT 128

/* One TCP connection, from accept to close. */
struct conn {
	struct conn *prev, *next;
	int fd;
	uint64_t since_ms; /* of waiting for a request to arrive whole */
	uint64_t received; /* bytes, when its last request was over */
	bool counted;	   /* received is known */
	bool partial;	   /* of a request line, a part has arrived */
	bool started;	   /* a request line has arrived */
	bool waiting;	   /* handed over: the deadline is not the client's */
	bool answered;	   /* since then it is the client's to take it */
	bool reaped;
	struct http_request *request; /* from its first line to its end */
};

struct http {
	struct loop *loop;
	struct http_config config;
	struct MHD_Daemon *daemon;
	http_queue_fn *queue; /* MHD_queue_response */
	int listen_fd;
	bool quiesced;
	int epoll_fd;
	int timer;
	int again_fd;  /* eventfd: the last turn left work */
	bool running;  /* inside MHD_run */
	bool dirty;    /* replies wait for an MHD_run */
	bool progress; /* this MHD_run moved something: there may be more */
	uint64_t open;
	struct conn *conns;
	uint64_t turn; /* of the reaper */
	struct id_maker ids;
	char address[HTTP_ADDRESS_TEXT];
};

struct header {
	struct header *next;
	char *name, *value;
};

struct http_request {
	struct http *http;
	struct MHD_Connection *mhd;
	struct conn *conn;
	const char *method, *path;
	struct http_query query;
	struct buf body;
	uint64_t discarded;
	struct id id;
	struct header *headers;
	struct MHD_Response *response;
	unsigned status;
	unsigned lengths; /* so often is said where the body ends */
	bool is_coded;	  /* in a way that is not understood */
	bool has_nul;	  /* "%00", which would end the texts of the request */
	bool handed_over;
	bool answered;
	void *data;
	char target[]; /* as it came; the library decodes its own in place */
};

/* MHD_OPTION_NOTIFY_CONNECTION, with the struct http. */
void http_conn_notify(void *cls, struct MHD_Connection *mhd, void **context,
    enum MHD_ConnectionNotificationCode code);
/* NULL: there was no memory for it. */
struct conn *http_conn_of(struct MHD_Connection *mhd);
/* A timer of the struct http: ends those whose deadline is over. */
void http_conn_reap(void *arg);

/* Accepts NULL. */
void http_request_free(struct http_request *r);

#endif
