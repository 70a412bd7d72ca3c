#include "api/open.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"

int
open_seal(const struct config *config, struct seal *seal)
{
	char path[PATH_MAX];
	int r;

	r = config_path(
	    config, config->master_key_file, "keys/master.key", path);
	if (r == 0)
		r = seal_load(seal, path);
	if (r == -EPERM)
		log_error(
		    "master key %s may be read by others; chmod 600 it", path);
	else if (r == -EINVAL)
		log_error("master key %s is not 32 bytes long", path);
	else if (r < 0)
		log_error("master key %s: %s; SLUICE_MASTER_KEY_FILE says "
			  "where it is",
		    path, strerror(-r));
	return r;
}

int
open_directory(const struct config *config, const struct seal *seal, bool owner,
    struct directory **ret)
{
	char path[PATH_MAX];
	int r;

	r = config_path(
	    config, config->directory, "directory/directory.db", path);
	if (r == 0)
		r = directory_open(path, seal, owner, ret);
	if (r == -EBUSY)
		log_error("directory %s is served by another process; of a "
			  "SQLite file there is one api, and one logger, while "
			  "ingest, router and deliverer scale",
		    path);
	else if (r == -EPROTO)
		log_error("directory %s was made by a newer version", path);
	else if (r == -EKEYREJECTED)
		log_error("directory %s was sealed with another master key; "
			  "SLUICE_MASTER_KEY_FILE must name that one",
		    path);
	else if (r < 0)
		log_error("directory %s: %s", path, strerror(-r));
	return r;
}
