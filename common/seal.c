#include "common/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "common/crypto.h"

#define VERSION 1
#define NONCE_SIZE 12
#define TAG_SIZE 16

static int
read_key(int fd, struct seal *s)
{
	struct stat st;
	uint8_t more;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return -EPERM;
	if (read(fd, s->key, sizeof(s->key)) != sizeof(s->key) ||
	    read(fd, &more, 1) != 0)
		return -EINVAL;
	return 0;
}

/* Makes what was made in path's folder last. */
static int
sync_folder(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int len = slash == NULL ? 0 : (int)(slash - path);
	int fd, r = 0;

	if (slash == NULL)
		(void)snprintf(folder, sizeof(folder), ".");
	else
		(void)snprintf(folder, sizeof(folder), "%.*s/", len, path);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

/* The draft's name is its own even among containers, whose process ids are
 * often the same, and threads. */
static int
make_key(const char *path)
{
	char draft[PATH_MAX];
	uint8_t key[SEAL_KEY_SIZE];
	ssize_t written;
	int fd, r = 0;

	if (snprintf(draft, sizeof(draft), "%s.XXXXXX", path) >=
	    (int)sizeof(draft))
		return -ENAMETOOLONG;
	fd = mkostemp(draft, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return -errno;
	crypto_random(key, sizeof(key));
	written = write(fd, key, sizeof(key));
	if (written < 0 || fsync(fd) < 0)
		r = -errno;
	else if (written != sizeof(key))
		r = -ENOSPC;
	close(fd);
	/* link(2) fails when somebody else was first: then theirs holds. */
	if (r == 0 && link(draft, path) < 0 && errno != EEXIST)
		r = -errno;
	(void)unlink(draft);
	return r < 0 ? r : sync_folder(path);
}

/* Every folder on the way to path that is not there yet. */
static int
make_folders(const char *path)
{
	char folder[PATH_MAX];

	if (snprintf(folder, sizeof(folder), "%s", path) >= (int)sizeof(folder))
		return -ENAMETOOLONG;
	for (char *at = folder; (at = strchr(at + 1, '/')) != NULL;) {
		int r = 0;

		*at = '\0';
		if (mkdir(folder, 0700) == 0)
			r = sync_folder(folder);
		else if (errno != EEXIST)
			r = -errno;
		if (r < 0)
			return r;
		*at = '/';
	}
	return 0;
}

int
seal_load(struct seal *s, const char *path)
{
	int fd, r;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		r = make_folders(path);
		if (r == 0)
			r = make_key(path);
		if (r < 0)
			return r;
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0)
		return -errno;
	r = read_key(fd, s);
	close(fd);
	return r;
}

void
seal_derive(
    const struct seal *s, const char *purpose, uint8_t key[SEAL_KEY_SIZE])
{
	struct slice part = slice_text(purpose);

	crypto_hmac((struct slice){ s->key, sizeof(s->key) }, &part, 1, key);
}

static int
seal_run(const struct seal *s, const char *what, const uint8_t *nonce,
    struct slice in, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len, r = -EIO;

	if (ctx == NULL)
		return -ENOMEM;
	if (EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, s->key, nonce) ==
		1 &&
	    EVP_EncryptUpdate(ctx, NULL, &len, (const uint8_t *)what,
		(int)strlen(what)) == 1 &&
	    EVP_EncryptUpdate(ctx, out, &len, in.data, (int)in.len) == 1 &&
	    EVP_EncryptFinal_ex(ctx, out + len, &len) == 1 &&
	    EVP_CIPHER_CTX_ctrl(
		ctx, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, out + in.len) == 1)
		r = 0;
	EVP_CIPHER_CTX_free(ctx);
	return r;
}

static int
open_run(const struct seal *s, const char *what, const uint8_t *nonce,
    struct slice in, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t tag[TAG_SIZE];
	int len, r = -EBADMSG;

	if (ctx == NULL)
		return -ENOMEM;
	memcpy(tag, in.data + in.len, TAG_SIZE);
	if (EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, s->key, nonce) ==
		1 &&
	    EVP_DecryptUpdate(ctx, NULL, &len, (const uint8_t *)what,
		(int)strlen(what)) == 1 &&
	    EVP_DecryptUpdate(ctx, out, &len, in.data, (int)in.len) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag) ==
		1 &&
	    EVP_DecryptFinal_ex(ctx, out + len, &len) == 1)
		r = 0;
	EVP_CIPHER_CTX_free(ctx);
	return r;
}

int
seal_close(const struct seal *s, const char *what, struct slice secret,
    struct buf *out)
{
	uint8_t *at;
	int r;

	if (secret.len > SEAL_SECRET_MAX)
		return -EMSGSIZE;
	r = buf_reserve(out, secret.len + SEAL_OVERHEAD);
	if (r < 0)
		return r;
	at = out->data + out->len;
	at[0] = VERSION;
	crypto_random(at + 1, NONCE_SIZE);
	r = seal_run(s, what, at + 1, secret, at + 1 + NONCE_SIZE);
	if (r == 0)
		out->len += secret.len + SEAL_OVERHEAD;
	return r;
}

int
seal_open(const struct seal *s, const char *what, struct slice sealed,
    struct buf *out)
{
	size_t len;
	int r;

	if (sealed.len < SEAL_OVERHEAD || sealed.data[0] != VERSION ||
	    sealed.len > SEAL_SECRET_MAX + SEAL_OVERHEAD)
		return -EBADMSG;
	len = sealed.len - SEAL_OVERHEAD;
	r = buf_reserve(out, len + 1);
	if (r < 0)
		return r;
	r = open_run(s, what, sealed.data + 1,
	    (struct slice){ sealed.data + 1 + NONCE_SIZE, len },
	    out->data + out->len);
	if (r == 0)
		out->len += len;
	return r;
}
