/*
 * The yardstick: libcurl alone, posting one recorded delivery to an HTTP
 * server as fast as it can, as a deliverer with nothing else to do would.
 *
 * Usage: bare URL DELIVERY_FILE SECONDS IN_FLIGHT. The file holds header
 * lines, an empty line, the body. Prints `requests SECONDS CPU_SECONDS`.
 *
 * curl_multi_perform() may finish transfers whose messages then wait while
 * curl_multi_poll() sleeps; so it never polls before a perform after which
 * there was no message to read.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/config.h"

#define IN_FLIGHT_MAX 1024
#define FILE_MAX_BYTES (2 * 1024 * 1024)
#define POLL_MS 100

struct delivery {
	struct curl_slist *headers;
	struct buf file;
	const char *body;
	size_t body_len;
};

static size_t
swallow(char *data, size_t size, size_t count, void *arg)
{
	(void)data;
	(void)arg;
	return size * count;
}

/* Splits the file in place: every header line ends up NUL-terminated. */
static int
delivery_read(struct delivery *d, const char *path)
{
	char block[4096];
	size_t len;
	FILE *f = fopen(path, "rb");
	char *line, *end;
	int r = 0;

	buf_init(&d->file, FILE_MAX_BYTES);
	if (f == NULL)
		return -1;
	while (r == 0 && (len = fread(block, 1, sizeof(block), f)) > 0)
		r = buf_add(&d->file, block, len);
	fclose(f);
	if (r != 0 || buf_add(&d->file, "", 1) != 0)
		return -1;
	line = (char *)d->file.data;
	while ((end = strchr(line, '\n')) != NULL && end != line) {
		*end = '\0';
		d->headers = curl_slist_append(d->headers, line);
		line = end + 1;
	}
	d->body = end == NULL ? line : end + 1;
	d->body_len = strlen(d->body);
	return 0;
}

static CURL *
transfer_new(const char *url, const struct delivery *d)
{
	CURL *easy = curl_easy_init();

	if (easy == NULL)
		return NULL;
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, d->headers);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, d->body);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)d->body_len);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, swallow);
	return easy;
}

/* Takes what is finished and, before the deadline, starts it again. */
static int
reap(CURLM *multi, bool again, uint64_t *done, uint64_t *failed)
{
	CURLMsg *message;
	int left, count = 0;

	while ((message = curl_multi_info_read(multi, &left)) != NULL) {
		CURL *easy = message->easy_handle;
		long status = 0;

		count++;
		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
		if (message->data.result == CURLE_OK && status == 200)
			(*done)++;
		else
			(*failed)++;
		curl_multi_remove_handle(multi, easy);
		if (again)
			curl_multi_add_handle(multi, easy);
	}
	return count;
}

static double
cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int
drive(CURLM *multi, uint64_t until_us)
{
	uint64_t begin = clock_mono_us(), done = 0, failed = 0;
	double cpu = cpu_seconds();
	int running = 1;

	while (running > 0) {
		bool again = clock_mono_us() < until_us;

		if (curl_multi_perform(multi, &running) != CURLM_OK)
			return 1;
		if (reap(multi, again, &done, &failed) > 0) {
			running = 1; /* what was added again runs now */
			continue;
		}
		if (running > 0)
			curl_multi_poll(multi, NULL, 0, POLL_MS, NULL);
	}
	printf("%llu %.6f %.6f\n", (unsigned long long)done,
	    (double)(clock_mono_us() - begin) / 1e6, cpu_seconds() - cpu);
	if (failed > 0)
		fprintf(
		    stderr, "bare: %llu failed\n", (unsigned long long)failed);
	return failed > 0;
}

int
main(int argc, char **argv)
{
	static CURL *easies[IN_FLIGHT_MAX];
	struct delivery d = { 0 };
	uint64_t seconds, in_flight;
	CURLM *multi;
	int status;

	if (argc != 5 ||
	    config_parse_number(slice_text(argv[3]), &seconds) != 0 ||
	    config_parse_number(slice_text(argv[4]), &in_flight) != 0 ||
	    in_flight == 0 || in_flight > IN_FLIGHT_MAX) {
		fprintf(stderr,
		    "usage: bare URL DELIVERY_FILE SECONDS IN_FLIGHT\n");
		return 2;
	}
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
	    delivery_read(&d, argv[2]) != 0 ||
	    (multi = curl_multi_init()) == NULL) {
		fprintf(stderr, "bare: cannot start\n");
		return 1;
	}
	for (uint64_t i = 0; i < in_flight; i++) {
		easies[i] = transfer_new(argv[1], &d);
		if (easies[i] != NULL)
			curl_multi_add_handle(multi, easies[i]);
	}
	status = drive(multi, clock_mono_us() + seconds * 1000000);
	for (uint64_t i = 0; i < in_flight; i++)
		curl_easy_cleanup(easies[i]);
	curl_multi_cleanup(multi);
	curl_slist_free_all(d.headers);
	buf_done(&d.file);
	curl_global_cleanup();
	return status;
}
