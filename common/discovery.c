#include "common/discovery.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/resolver.h"

#define ADDRESS_TEXT 256 /* ipc paths are the longest */

struct found {
	char address[ADDRESS_TEXT];
	unsigned name;
	unsigned misses;
};

struct discovery {
	struct loop *loop;
	discovery_fn *on_found, *on_lost;
	void *arg;
	struct resolver *resolver; /* NULL: no names to resolve */
	struct found *found;
	unsigned found_count;
};

/* ---- what is known, in the loop ---------------------------------------- */

/* Under whatever name? */
static bool
is_known(const struct discovery *d, const char *address)
{
	for (unsigned i = 0; i < d->found_count; i++)
		if (strcmp(d->found[i].address, address) == 0)
			return true;
	return false;
}

static void
add(struct discovery *d, unsigned name, const char *address)
{
	struct found *f;
	bool is_new = !is_known(d, address);

	for (unsigned i = 0; i < d->found_count; i++) {
		f = &d->found[i];
		if (f->name == name && strcmp(f->address, address) == 0) {
			f->misses = 0;
			return;
		}
	}
	if (d->found_count == DISCOVERY_ADDRESSES_MAX)
		return;
	f = &d->found[d->found_count++];
	f->name = name;
	f->misses = 0;
	(void)snprintf(f->address, sizeof(f->address), "%s", address);
	if (is_new)
		d->on_found(d->arg, f->address);
}

static void
count_misses(struct discovery *d, const struct resolver_answer *a)
{
	unsigned i = 0;

	while (i < d->found_count) {
		struct found *f = &d->found[i], lost;

		if (f->name != a->name || resolver_answer_has(a, f->address) ||
		    ++f->misses < DISCOVERY_MISSES) {
			i++;
			continue;
		}
		lost = *f;
		*f = d->found[--d->found_count];
		if (!is_known(d, lost.address))
			d->on_lost(d->arg, lost.address);
	}
}

static void
on_answers(void *arg)
{
	struct discovery *d = arg;
	struct mail *mail = resolver_take(d->resolver), *next;

	for (; mail != NULL; mail = next) {
		struct resolver_answer *a = (struct resolver_answer *)mail;

		next = mail->next;
		for (unsigned i = 0; i < a->count; i++)
			add(d, a->name, a->addresses[i]);
		count_misses(d, a);
		free(a);
	}
}

/* ---- the list ---------------------------------------------------------- */

static bool
is_port(const char *text)
{
	unsigned value = 0, digits = 0;

	for (; text[digits] != '\0'; digits++) {
		if (text[digits] < '0' || text[digits] > '9' || digits == 5)
			return false;
		value = value * 10 + (unsigned)(text[digits] - '0');
	}
	return value > 0 && value <= UINT16_MAX;
}

/* "host:port" or "[address]:port". */
static int
split(char *entry, struct resolver_name *name)
{
	char *colon = strrchr(entry, ':'), *host = entry;

	if (colon == NULL || !is_port(colon + 1))
		return -EINVAL;
	*colon = '\0';
	if (*host == '[') {
		if (colon[-1] != ']')
			return -EINVAL;
		colon[-1] = '\0';
		host++;
	} else if (strchr(host, ':') != NULL) {
		return -EINVAL;
	}
	if (*host == '\0' || strlen(host) >= sizeof(name->host))
		return -EINVAL;
	(void)snprintf(name->host, sizeof(name->host), "%s", host);
	(void)snprintf(name->port, sizeof(name->port), "%s", colon + 1);
	return 0;
}

static bool
numeric_address(const struct resolver_name *name, char *text, size_t size)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	struct addrinfo *ai = NULL;
	bool ok;

	if (getaddrinfo(name->host, name->port, &hints, &ai) != 0)
		return false;
	ok = resolver_address(ai, text, size);
	freeaddrinfo(ai);
	return ok;
}

static int
add_entry(struct discovery *d, char *entry)
{
	char text[ADDRESS_TEXT];
	struct resolver_name name;
	int r;

	if (strncmp(entry, "ipc://", 6) == 0) {
		if (entry[6] == '\0' || strlen(entry) >= ADDRESS_TEXT)
			return -EINVAL;
		add(d, RESOLVER_NAMES_MAX,
		    entry); /* of no name: it never goes */
		return 0;
	}
	if (strncmp(entry, "tcp://", 6) == 0)
		entry += 6;
	r = split(entry, &name);
	if (r < 0)
		return r;
	if (numeric_address(&name, text, sizeof(text))) {
		add(d, RESOLVER_NAMES_MAX, text);
		return 0;
	}
	if (d->resolver == NULL) {
		r = resolver_new(&d->resolver);
		if (r < 0)
			return r;
	}
	return resolver_add(d->resolver, &name);
}

static int
add_all(struct discovery *d, char *list)
{
	char *next;

	for (char *entry = list; entry != NULL; entry = next) {
		size_t len;
		int r;

		next = strchr(entry, ',');
		if (next != NULL)
			*next++ = '\0';
		entry += strspn(entry, " \t");
		len = strlen(entry);
		while (len > 0 && strchr(" \t", entry[len - 1]) != NULL)
			entry[--len] = '\0';
		if (len == 0)
			continue;
		r = add_entry(d, entry);
		if (r < 0)
			return r;
	}
	return 0;
}

int
discovery_new(struct loop *loop, const char *peers, discovery_fn *on_found,
    discovery_fn *on_lost, void *arg, struct discovery **ret)
{
	struct discovery *d = calloc(1, sizeof(*d));
	char *list = strdup(peers);
	int r = -ENOMEM;

	if (d == NULL || list == NULL)
		goto out;
	d->loop = loop;
	d->on_found = on_found;
	d->on_lost = on_lost;
	d->arg = arg;
	d->found = calloc(DISCOVERY_ADDRESSES_MAX, sizeof(*d->found));
	if (d->found == NULL)
		goto out;
	r = add_all(d, list);
	if (r == 0 && d->resolver != NULL) {
		r = loop_add_fd(loop, resolver_fd(d->resolver), on_answers, d);
		if (r == 0)
			r = resolver_start(d->resolver);
	}
	if (r == 0) {
		*ret = d;
		d = NULL;
	}
out:
	discovery_free(d);
	free(list);
	return r;
}

void
discovery_free(struct discovery *d)
{
	if (d == NULL)
		return;
	if (d->resolver != NULL)
		loop_del_fd(d->loop, resolver_fd(d->resolver));
	resolver_free(d->resolver);
	free(d->found);
	free(d);
}
