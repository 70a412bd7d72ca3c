/*
 * sluice-keys: makes the CURVE key of one stage.
 *
 *     sluice-keys FOLDER STAGE
 *
 * writes FOLDER/STAGE.key (both halves, for the stage alone) and
 * FOLDER/STAGE.pub (for everybody it talks to), in the format that SLUICE_KEYS
 * is read in. It never replaces a file.
 */
#include <czmq.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/wiring.h"

static int
path_of(char path[PATH_MAX], const char *folder, enum stage stage,
    const char *suffix)
{
	int len = snprintf(
	    path, PATH_MAX, "%s/%s%s", folder, stage_name(stage), suffix);

	if (len < 0 || len >= PATH_MAX) {
		fprintf(stderr, "sluice-keys: %s: too long\n", folder);
		return -ENAMETOOLONG;
	}
	if (access(path, F_OK) == 0) {
		fprintf(stderr, "sluice-keys: %s is there already\n", path);
		return -EEXIST;
	}
	return 0;
}

static int
make(const char *folder, enum stage stage)
{
	char key[PATH_MAX], pub[PATH_MAX];
	zcert_t *cert;
	int r = path_of(key, folder, stage, ".key");

	if (r == 0)
		r = path_of(pub, folder, stage, ".pub");
	if (r < 0)
		return r;
	cert = zcert_new();
	if (cert == NULL) {
		fprintf(
		    stderr, "sluice-keys: libzmq was built without CURVE\n");
		return -ENOTSUP;
	}
	zcert_set_meta(cert, "stage", "%s", stage_name(stage));
	if (zcert_save_secret(cert, key) != 0 ||
	    zcert_save_public(cert, pub) != 0) {
		fprintf(stderr, "sluice-keys: cannot write to %s: %s\n", folder,
		    strerror(errno));
		r = -EIO;
	}
	zcert_destroy(&cert);
	return r;
}

int
main(int argc, char **argv)
{
	enum stage stage =
	    argc == 3 ? stage_from(slice_text(argv[2])) : STAGE_NONE;
	int r;

	if (stage == STAGE_NONE) {
		fprintf(stderr, "usage: sluice-keys FOLDER "
				"ingest|router|logger|deliverer|api\n");
		return 2;
	}
	(void)umask(077);
	zsys_handler_set(NULL);
	r = make(argv[1], stage);
	zsys_shutdown();
	return r < 0 ? 1 : 0;
}
