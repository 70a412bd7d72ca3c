/*
 * getaddrinfo() that looks in the file named by LINK_HOSTS first: for
 * machines where the test may not mount its own /etc/hosts. Lines are
 * `ADDRESS NAME`.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int lookup_fn(
    const char *, const char *, const struct addrinfo *, struct addrinfo **);

int hosts_lookup(const char *host, const char *service,
    const struct addrinfo *hints, struct addrinfo **all);

int
hosts_lookup(const char *host, const char *service,
    const struct addrinfo *hints, struct addrinfo **all)
{
	lookup_fn *next = NULL;
	const char *path = getenv("LINK_HOSTS");
	bool ours = path != NULL && host != NULL &&
		    (hints == NULL || !(hints->ai_flags & AI_NUMERICHOST));
	FILE *f = ours ? fopen(path, "re") : NULL;
	struct addrinfo **end = all;
	char line[256];

	*(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
	*all = NULL;
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		char *save = strchr(line, ' ');

		line[strcspn(line, "\n")] = '\0';
		if (save == NULL || strcmp(save + 1, host) != 0)
			continue;
		*save = '\0';
		if (next(line, service, hints, end) != 0)
			continue;
		while (*end != NULL)
			end = &(*end)->ai_next;
	}
	if (f != NULL)
		(void)fclose(f);
	return *all != NULL ? 0 : next(host, service, hints, all);
}

__typeof__(getaddrinfo) getaddrinfo __attribute__((alias("hosts_lookup")));
