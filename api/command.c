#include "api/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/directory.h"
#include "api/open.h"
#include "common/log.h"

#define KEY_MIN 8

const char command_help[] =
    "       sluice-api app create --id ID [--name NAME] [--key KEY]\n"
    "           makes an application and prints its API key, once\n"
    "       sluice-api app list\n"
    "           prints the applications\n";

struct arguments {
	const char *id, *name, *key;
};

/* `--id ID` and `--id=ID`. */
static int
read_arguments(struct arguments *a, int argc, char **argv)
{
	const struct {
		const char *name;
		const char **value;
	} options[] = {
		{ "--id", &a->id },
		{ "--name", &a->name },
		{ "--key", &a->key },
	};

	for (int i = 0; i < argc; i++) {
		struct slice name = { (const uint8_t *)argv[i],
			strcspn(argv[i], "=") };
		size_t n = 0;
		while (n < 3 && !slice_is(name, options[n].name))
			n++;
		if (n == 3) {
			log_error("%s: unknown argument", argv[i]);
			return -EINVAL;
		}
		if (argv[i][name.len] == '=') {
			*options[n].value = argv[i] + name.len + 1;
		} else if (i + 1 < argc) {
			*options[n].value = argv[++i];
		} else {
			log_error("%s needs a value", argv[i]);
			return -EINVAL;
		}
	}
	return 0;
}

/* An id travels in a header, a path and a log line. */
static bool
is_id(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";

	return text[0] != '\0' && strlen(text) <= LIMIT_ID_TEXT &&
	       text[strspn(text, letters)] == '\0';
}

/* A key travels in a header. */
static bool
is_key(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return len >= KEY_MIN && len <= SEAL_SECRET_MAX;
}

static bool
are_right(const struct arguments *a)
{
	if (a->id == NULL || !is_id(a->id)) {
		log_error("--id must be 1 to %d letters, digits, '-', '_' "
			  "and '.'",
		    LIMIT_ID_TEXT);
		return false;
	}
	if (a->name != NULL && strlen(a->name) > LIMIT_NAME_TEXT) {
		log_error("--name must be %d bytes at most", LIMIT_NAME_TEXT);
		return false;
	}
	if (a->key != NULL && !is_key(a->key)) {
		log_error("--key must be %d to %d printable ASCII characters "
			  "without blanks",
		    KEY_MIN, SEAL_SECRET_MAX);
		return false;
	}
	return true;
}

static int
create(struct directory *d, int argc, char **argv)
{
	struct arguments a = { 0 };
	struct buf key;
	int status = 1, r;

	if (read_arguments(&a, argc, argv) < 0 || !are_right(&a))
		return 2;
	buf_init(&key, SEAL_SECRET_MAX);
	r = directory_app_create(
	    d, a.id, a.name != NULL ? a.name : a.id, slice_text(a.key), &key);
	if (r == -EEXIST)
		log_error(
		    "there is an application %s, or the key is in use", a.id);
	else if (r < 0)
		log_error("cannot make application %s: %s", a.id, strerror(-r));
	else if (printf("%.*s\n", (int)key.len, (const char *)key.data) > 0 &&
		 fflush(stdout) == 0)
		status = 0;
	buf_done(&key);
	return status;
}

static void
print_app(void *arg, const struct directory_app *app)
{
	(void)arg;
	printf("%s\t%s\n", app->id, app->name);
}

static int
list(struct directory *d)
{
	int r = directory_app_each(d, print_app, NULL);

	if (r < 0)
		log_error("cannot list applications: %s", strerror(-r));
	return r < 0 || fflush(stdout) != 0 ? 1 : 0;
}

int
command_run(const struct config *config, int argc, char **argv)
{
	bool is_create = argc >= 2 && strcmp(argv[1], "create") == 0;
	bool is_list = argc == 2 && strcmp(argv[1], "list") == 0;
	struct directory *d = NULL;
	struct seal seal;
	int status = 1;

	if (argc < 1 || strcmp(argv[0], "app") != 0 || (!is_create && !is_list))
		return -1;
	if (open_seal(config, &seal) == 0 &&
	    open_directory(config, &seal, false, &d) == 0)
		status = is_create ? create(d, argc - 2, argv + 2) : list(d);
	directory_close(d);
	return status;
}
