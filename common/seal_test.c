#include "common/seal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/crypto.h"

#define MANY 8

/* A folder of the test's own, and a path of the key below it. */
struct place {
	char folder[64];
	char key[PATH_MAX];
};

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -1;
	(void)snprintf(p->folder, sizeof(p->folder), "/tmp/sluice-seal-XXXXXX");
	if (mkdtemp(p->folder) == NULL)
		return -1;
	(void)snprintf(
	    p->key, sizeof(p->key), "%s/var/keys/master.key", p->folder);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	static const char *const parts[] = { "/var/keys/master.key",
		"/var/keys", "/var", "" };
	struct place *p = *state;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		char path[PATH_MAX];

		(void)snprintf(path, sizeof(path), "%s%s", p->folder, parts[i]);
		(void)remove(path);
	}
	free(p);
	return 0;
}

static unsigned
files_beside(const char *path)
{
	char folder[PATH_MAX];
	unsigned count = 0;
	DIR *dir;

	(void)snprintf(folder, sizeof(folder), "%s", path);
	*strrchr(folder, '/') = '\0';
	dir = opendir(folder);
	assert_non_null(dir);
	if (dir == NULL)
		return 0;
	for (const struct dirent *e; (e = readdir(dir)) != NULL;)
		count += e->d_name[0] != '.';
	closedir(dir);
	return count;
}

static void
put_file(const char *path, size_t len, mode_t mode)
{
	uint8_t bytes[64];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	memset(bytes, 7, sizeof(bytes));
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* ---- the key file ----------------------------------------------------- */

static void
makes_the_key_once(void **state)
{
	struct place *p = *state;
	struct seal first, again;
	struct stat st;

	assert_int_equal(seal_load(&first, p->key), 0);
	assert_int_equal(stat(p->key, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, SEAL_KEY_SIZE);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(files_beside(p->key), 1);
	assert_int_equal(seal_load(&again, p->key), 0);
	assert_memory_equal(first.key, again.key, SEAL_KEY_SIZE);
}

static void
refuses_a_wrong_file(void **state)
{
	static const mode_t open_to_others[] = { 0640, 0604, 0660, 0601, 0610 };
	struct place *p = *state;
	struct seal s;

	assert_int_equal(seal_load(&s, p->key), 0);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(chmod(p->key, open_to_others[i]), 0);
		assert_int_equal(seal_load(&s, p->key), -EPERM);
	}
	put_file(p->key, 32, 0400);
	assert_int_equal(seal_load(&s, p->key), 0);
	(void)chmod(p->key, 0600);
	put_file(p->key, 0, 0600);
	assert_int_equal(seal_load(&s, p->key), -EINVAL);
	put_file(p->key, 31, 0600);
	assert_int_equal(seal_load(&s, p->key), -EINVAL);
	put_file(p->key, 33, 0600);
	assert_int_equal(seal_load(&s, p->key), -EINVAL);
	/* what was refused is left as it was */
	assert_int_equal(files_beside(p->key), 1);
}

static void
says_why_it_cannot(void **state)
{
	struct place *p = *state;
	char path[2 * PATH_MAX];
	struct seal s;

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(seal_load(&s, path), -ENAMETOOLONG);
	(void)snprintf(path, sizeof(path), "%s/file", p->folder);
	put_file(path, 1, 0600);
	(void)snprintf(path, sizeof(path), "%s/file/master.key", p->folder);
	assert_int_equal(seal_load(&s, path), -ENOTDIR);
	(void)snprintf(path, sizeof(path), "%s/file", p->folder);
	(void)unlink(path);
	/* in the root, if we may: not "no such folder" */
	if (geteuid() != 0)
		assert_int_equal(
		    seal_load(&s, "/sluice-seal-test.key"), -EACCES);
}

/* A name without a folder means here. */
static void
a_bare_name_means_here(void **state)
{
	struct place *p = *state;
	char before[PATH_MAX];
	struct seal s;

	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(p->folder), 0);
	assert_int_equal(seal_load(&s, "master.key"), 0);
	assert_int_equal(unlink("master.key"), 0);
	assert_int_equal(chdir(before), 0);
}

/* Many processes begin together on an empty folder: one key, no leftovers. */
static void
processes_agree_on_one_key(void **state)
{
	struct place *p = *state;
	int gate[2], result[2];
	uint8_t first[SEAL_KEY_SIZE], key[SEAL_KEY_SIZE];

	assert_int_equal(pipe(gate), 0);
	assert_int_equal(pipe(result), 0);
	for (int i = 0; i < MANY; i++) {
		struct seal s = { { 0 } };
		char go;

		if (fork() != 0)
			continue;
		close(gate[1]);
		(void)!read(gate[0], &go, 1); /* until the parent closes it */
		if (seal_load(&s, p->key) < 0)
			memset(s.key, 0, sizeof(s.key));
		_exit(write(result[1], s.key, sizeof(s.key)) == sizeof(s.key)
			  ? 0
			  : 1);
	}
	close(gate[0]);
	close(gate[1]);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(read(result[0], key, sizeof(key)), 32);
		if (i == 0)
			memcpy(first, key, sizeof(key));
		assert_memory_equal(first, key, sizeof(key));
	}
	for (int i = 0; i < MANY; i++)
		assert_true(wait(NULL) > 0);
	assert_memory_not_equal(
	    first, (uint8_t[SEAL_KEY_SIZE]){ 0 }, SEAL_KEY_SIZE);
	assert_int_equal(files_beside(p->key), 1);
	close(result[0]);
	close(result[1]);
}

struct loader {
	pthread_barrier_t *start;
	const char *path;
	struct seal seal;
	int r;
};

static void *
load(void *arg)
{
	struct loader *l = arg;

	pthread_barrier_wait(l->start);
	l->r = seal_load(&l->seal, l->path);
	return NULL;
}

/* The same under one process id, as containers that share a volume have. */
static void
one_process_id_agrees_too(void **state)
{
	struct place *p = *state;
	pthread_barrier_t start;
	pthread_t threads[MANY];
	struct loader loaders[MANY];

	for (int round = 0; round < 20; round++) {
		pthread_barrier_init(&start, NULL, MANY);
		for (int i = 0; i < MANY; i++) {
			loaders[i] =
			    (struct loader){ .start = &start, .path = p->key };
			assert_int_equal(pthread_create(&threads[i], NULL, load,
					     &loaders[i]),
			    0);
		}
		for (int i = 0; i < MANY; i++) {
			pthread_join(threads[i], NULL);
			assert_int_equal(loaders[i].r, 0);
			assert_memory_equal(loaders[0].seal.key,
			    loaders[i].seal.key, SEAL_KEY_SIZE);
		}
		pthread_barrier_destroy(&start);
		assert_int_equal(files_beside(p->key), 1);
		assert_int_equal(unlink(p->key), 0);
	}
}

/* ---- sealing ---------------------------------------------------------- */

static struct seal
any_seal(void)
{
	struct seal s;

	crypto_random(s.key, sizeof(s.key));
	return s;
}

static void
every_length_comes_back(void **state)
{
	static const size_t lengths[] = { 0, 1, 15, 16, 17, 32, 100,
		SEAL_SECRET_MAX };
	static uint8_t secret[SEAL_SECRET_MAX + 1];
	struct seal s = any_seal();
	struct buf sealed, opened;

	(void)state;
	buf_init(&sealed, SEAL_SECRET_MAX + SEAL_OVERHEAD);
	buf_init(&opened, SEAL_SECRET_MAX + 1);
	crypto_random(secret, sizeof(secret));
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct slice text = { secret, lengths[i] };

		buf_clear(&sealed);
		buf_clear(&opened);
		assert_int_equal(seal_close(&s, "secret:1", text, &sealed), 0);
		assert_int_equal(sealed.len, lengths[i] + SEAL_OVERHEAD);
		assert_int_equal(
		    seal_open(&s, "secret:1", buf_slice(&sealed), &opened), 0);
		assert_true(slice_same(buf_slice(&opened), text));
	}
	buf_clear(&sealed);
	assert_int_equal(seal_close(&s, "secret:1",
			     (struct slice){ secret, sizeof(secret) }, &sealed),
	    -EMSGSIZE);
	assert_int_equal(sealed.len, 0);
	assert_int_equal(
	    seal_close(&s, "", (struct slice){ NULL, 0 }, &sealed), 0);
	buf_done(&sealed);
	buf_done(&opened);
}

static void
never_the_same_twice(void **state)
{
	struct seal s = any_seal();
	struct buf a, b;

	(void)state;
	buf_init(&a, 100);
	buf_init(&b, 100);
	assert_int_equal(seal_close(&s, "x", slice_text("secret"), &a), 0);
	assert_int_equal(seal_close(&s, "x", slice_text("secret"), &b), 0);
	assert_false(slice_same(buf_slice(&a), buf_slice(&b)));
	assert_null(memmem(a.data, a.len, "secret", 6));
	buf_done(&a);
	buf_done(&b);
}

static void
opens_nothing_else(void **state)
{
	struct seal s = any_seal(), other = any_seal();
	struct buf sealed, opened;

	(void)state;
	buf_init(&sealed, 100);
	buf_init(&opened, 100);
	assert_int_equal(buf_add_text(&opened, "kept"), 0);
	assert_int_equal(
	    seal_close(&s, "secret:1", slice_text("hush"), &sealed), 0);
	/* moved to another place */
	assert_int_equal(
	    seal_open(&s, "secret:2", buf_slice(&sealed), &opened), -EBADMSG);
	assert_int_equal(
	    seal_open(&s, "secret:", buf_slice(&sealed), &opened), -EBADMSG);
	assert_int_equal(
	    seal_open(&s, "", buf_slice(&sealed), &opened), -EBADMSG);
	/* by another master key */
	assert_int_equal(
	    seal_open(&other, "secret:1", buf_slice(&sealed), &opened),
	    -EBADMSG);
	/* cut, at either end */
	for (size_t len = 0; len < sealed.len; len++) {
		assert_int_equal(
		    seal_open(&s, "secret:1",
			(struct slice){ sealed.data, len }, &opened),
		    -EBADMSG);
		assert_int_equal(
		    seal_open(&s, "secret:1",
			(struct slice){ sealed.data + sealed.len - len, len },
			&opened),
		    -EBADMSG);
	}
	assert_int_equal(
	    seal_open(&s, "secret:1", (struct slice){ NULL, 0 }, &opened),
	    -EBADMSG);
	/* any bit changed */
	for (size_t bit = 0; bit < 8 * sealed.len; bit++) {
		sealed.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(
		    seal_open(&s, "secret:1", buf_slice(&sealed), &opened),
		    -EBADMSG);
		sealed.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	/* longer by a byte */
	assert_int_equal(buf_add(&sealed, "", 1), 0);
	assert_int_equal(
	    seal_open(&s, "secret:1", buf_slice(&sealed), &opened), -EBADMSG);
	assert_true(slice_is(buf_slice(&opened), "kept"));
	buf_done(&sealed);
	buf_done(&opened);
}

static void
respects_the_cap_of_out(void **state)
{
	struct seal s = any_seal();
	struct buf sealed, tight;

	(void)state;
	buf_init(&sealed, 100);
	buf_init(&tight, 10);
	assert_int_equal(
	    seal_close(&s, "x", slice_text("hush"), &tight), -ENOBUFS);
	assert_int_equal(
	    seal_close(&s, "x", slice_text("much too long"), &sealed), 0);
	assert_int_equal(
	    seal_open(&s, "x", buf_slice(&sealed), &tight), -ENOBUFS);
	assert_int_equal(tight.len, 0);
	buf_done(&sealed);
	buf_done(&tight);
}

static void
derived_keys_differ_by_purpose(void **state)
{
	struct seal s = any_seal(), other = any_seal();
	uint8_t a[SEAL_KEY_SIZE], b[SEAL_KEY_SIZE];

	(void)state;
	seal_derive(&s, "token", a);
	seal_derive(&s, "token", b);
	assert_memory_equal(a, b, sizeof(a));
	assert_memory_not_equal(a, s.key, sizeof(a));
	seal_derive(&s, "cursor", b);
	assert_memory_not_equal(a, b, sizeof(a));
	seal_derive(&other, "token", b);
	assert_memory_not_equal(a, b, sizeof(a));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(makes_the_key_once),
		TEST(refuses_a_wrong_file),
		TEST(says_why_it_cannot),
		TEST(a_bare_name_means_here),
		TEST(processes_agree_on_one_key),
		TEST(one_process_id_agrees_too),
		cmocka_unit_test(every_length_comes_back),
		cmocka_unit_test(never_the_same_twice),
		cmocka_unit_test(opens_nothing_else),
		cmocka_unit_test(respects_the_cap_of_out),
		cmocka_unit_test(derived_keys_differ_by_purpose),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
