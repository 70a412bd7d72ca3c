#include "api/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/directory.h"
#include "api/open.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/log.h"

#define KEY_MIN 8

const char command_help[] =
    "       sluice-api app create --id ID [--name NAME] [--key KEY]\n"
    "           makes an application and prints its API key, once\n"
    "       sluice-api app list\n"
    "           prints the applications\n"
    "       sluice-api app set --id ID [--quota EVENTS] [--rate REQUESTS]\n"
    "           events a month, requests a second; 0 is no limit\n"
    "       sluice-api key create --app ID [--key KEY]\n"
    "           prints a new API key, once\n"
    "       sluice-api key list --app ID\n"
    "       sluice-api key remove --app ID --id KEY_ID\n"
    "       sluice-api key sign --app ID --id KEY_ID\n"
    "           lets this key sign deliveries, and no other\n";

struct arguments {
	const char *id, *name, *key, *app, *quota, *rate;
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
		{ "--app", &a->app },
		{ "--quota", &a->quota },
		{ "--rate", &a->rate },
	};
	const size_t count = sizeof(options) / sizeof(*options);

	for (int i = 0; i < argc; i++) {
		struct slice name = { (const uint8_t *)argv[i],
			strcspn(argv[i], "=") };
		size_t n = 0;
		while (n < count && !slice_is(name, options[n].name))
			n++;
		if (n == count) {
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

/* ---- an application's limits, and its keys ---------------------------- */

static bool
find_app(struct directory *d, const char *id, struct directory_app *app)
{
	int r = id == NULL ? -EINVAL : directory_app_get(d, id, app);

	if (r < 0)
		log_error("application %s: %s", id == NULL ? "?" : id,
		    r == -ENOENT ? "there is none" : strerror(-r));
	return r == 0;
}

static bool
read_limit(const char *name, const char *text, uint64_t max, uint64_t *ret)
{
	if (text == NULL ||
	    (config_parse_number(slice_text(text), ret) == 0 && *ret <= max))
		return true;
	log_error("%s: %s is no number", name, text);
	return false;
}

static int
set(struct directory *d, int argc, char **argv)
{
	struct arguments a = { 0 };
	struct directory_app app;
	int r;

	if (read_arguments(&a, argc, argv) < 0)
		return 2;
	if (!find_app(d, a.id, &app))
		return 1;
	if (!read_limit("--quota", a.quota, INT64_MAX, &app.quota) ||
	    !read_limit("--rate", a.rate, UINT32_MAX, &app.rate))
		return 2;
	r = directory_app_set(d, &app);
	if (r < 0)
		log_error("cannot set: %s", strerror(-r));
	return r < 0 ? 1 : 0;
}

static int
key_create(struct directory *d, const struct directory_app *app,
    const struct arguments *a)
{
	struct directory_key key;
	uint64_t number;
	struct buf text;
	int r, status = 1;

	if (a->key != NULL && !is_key(a->key)) {
		log_error("--key must be %d to %d printable ASCII characters "
			  "without blanks",
		    KEY_MIN, SEAL_SECRET_MAX);
		return 2;
	}
	buf_init(&text, SEAL_SECRET_MAX);
	r = directory_key_add(
	    d, app->app, slice_text(a->key), &text, &key, &number);
	if (r == -EEXIST || r == -E2BIG)
		log_error(r == -EEXIST ? "the key is in use"
				       : "the application has too many keys");
	else if (r < 0)
		log_error("cannot make a key: %s", strerror(-r));
	else if (printf("%.*s\n", (int)text.len, (const char *)text.data) > 0 &&
		 fflush(stdout) == 0)
		status = 0;
	buf_done(&text);
	return status;
}

static void
print_key(void *arg, const struct directory_key *key)
{
	char at[CLOCK_TEXT_SIZE];

	(void)arg;
	clock_text(key->created_ms, at);
	printf("%s\t%s\t%s\n", key->id, key->signing ? "signing" : "-", at);
}

static int
key_list(struct directory *d, const struct directory_app *app,
    const struct arguments *a)
{
	int r = directory_key_each(d, app->app, print_key, NULL);

	(void)a;
	if (r < 0)
		log_error("cannot list keys: %s", strerror(-r));
	return r < 0 || fflush(stdout) != 0 ? 1 : 0;
}

static int
report_key(const char *id, int r)
{
	if (r == -ENOENT)
		log_error("there is no key %s", id);
	else if (r == -EPERM)
		log_error(
		    "key %s signs deliveries: let another one sign first", id);
	else if (r < 0)
		log_error("key %s: %s", id, strerror(-r));
	return r < 0 ? 1 : 0;
}

static int
key_remove(struct directory *d, const struct directory_app *app,
    const struct arguments *a)
{
	const char *id = a->id != NULL ? a->id : "";
	uint64_t number;

	return report_key(id, directory_key_remove(d, app->app, id, &number));
}

static int
key_sign(struct directory *d, const struct directory_app *app,
    const struct arguments *a)
{
	const char *id = a->id != NULL ? a->id : "";
	uint64_t number;

	return report_key(id, directory_key_sign(d, app->app, id, &number));
}

static const struct key_verb {
	const char *name;
	int (*run)(struct directory *d, const struct directory_app *app,
	    const struct arguments *a);
} key_verbs[] = {
	{ "create", key_create },
	{ "list", key_list },
	{ "remove", key_remove },
	{ "sign", key_sign },
};

#define KEY_VERBS (sizeof(key_verbs) / sizeof(*key_verbs))

static int
run_key(struct directory *d, const struct key_verb *verb, int argc, char **argv)
{
	struct arguments a = { 0 };
	struct directory_app app;

	if (read_arguments(&a, argc, argv) < 0)
		return 2;
	return find_app(d, a.app, &app) ? verb->run(d, &app, &a) : 1;
}

static int
run_app(struct directory *d, int argc, char **argv)
{
	if (strcmp(argv[1], "create") == 0)
		return create(d, argc - 2, argv + 2);
	if (strcmp(argv[1], "set") == 0)
		return set(d, argc - 2, argv + 2);
	return list(d);
}

static bool
is_app(int argc, char **argv)
{
	return strcmp(argv[0], "app") == 0 &&
	       (strcmp(argv[1], "create") == 0 || strcmp(argv[1], "set") == 0 ||
		   (argc == 2 && strcmp(argv[1], "list") == 0));
}

int
command_run(const struct config *config, int argc, char **argv)
{
	const struct key_verb *verb = NULL;
	struct directory *d = NULL;
	struct seal seal;
	int status = 1;

	if (argc < 2)
		return -1;
	for (size_t i = 0; strcmp(argv[0], "key") == 0 && i < KEY_VERBS; i++)
		if (strcmp(argv[1], key_verbs[i].name) == 0)
			verb = &key_verbs[i];
	if (verb == NULL && !is_app(argc, argv))
		return -1;
	if (open_seal(config, &seal) == 0 &&
	    open_directory(config, &seal, false, &d) == 0)
		status = verb != NULL ? run_key(d, verb, argc - 2, argv + 2)
				      : run_app(d, argc, argv);
	directory_close(d);
	return status;
}
