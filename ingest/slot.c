#include "ingest/slot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define FOLDER_MODE 0700
#define NAME_SIZE 32

/* f_type of statfs(2); those that cannot promise a sync are refused. */
static const struct {
	unsigned type;
	const char *name;
	bool refused;
} file_systems[] = {
	{ 0x794c7630, "overlay", true },
	{ 0x01021994, "tmpfs", true },
	{ 0x858458f6, "ramfs", true },
	{ 0x00006969, "nfs", true },
	{ 0xff534d42, "cifs", true },
	{ 0xfe534d42, "smb2", true },
	{ 0x65735546, "fuse", true },
	{ 0x01021997, "9p", true },
	{ 0x00c36400, "ceph", true },
	{ 0x0bd00bd0, "lustre", true },
	{ 0x0000ef53, "ext4", false },
	{ 0x58465342, "xfs", false },
	{ 0x9123683e, "btrfs", false },
	{ 0x2fc12fc1, "zfs", false },
	{ 0xf2f52010, "f2fs", false },
};

#define FILE_SYSTEMS (sizeof(file_systems) / sizeof(file_systems[0]))

static int
file_system(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return -1;
	for (size_t i = 0; i < FILE_SYSTEMS; i++)
		if (file_systems[i].type == (unsigned)fs.f_type)
			return (int)i;
	return -1;
}

const char *
slot_file_system(const struct slot *s)
{
	int i = file_system(s->root);

	return i < 0 ? NULL : file_systems[i].name;
}

uint64_t
slot_free_bytes(const struct slot *s)
{
	struct statfs fs;

	if (fstatfs(s->root, &fs) < 0)
		return 0;
	return (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
}

static int
make_folders(const char *path)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(part))
		return len == 0 ? -EINVAL : -ENAMETOOLONG;
	for (size_t i = 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, FOLDER_MODE) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static int
open_folder(int at, const char *name, int *ret_fd)
{
	int fd;

	if (mkdirat(at, name, FOLDER_MODE) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* -EWOULDBLOCK: held by another. */
static int
take_lock(int folder, int *ret_fd)
{
	int fd = openat(folder, "LOCK", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static int
try_slot(struct slot *s, unsigned number)
{
	char name[NAME_SIZE];
	int folder = -1, r;

	snprintf(name, sizeof(name), "slot-%u", number);
	r = open_folder(s->root, name, &folder);
	if (r < 0)
		return r;
	r = take_lock(folder, &s->lock);
	if (r < 0) {
		close(folder);
		return r;
	}
	s->folder = folder;
	s->number = number;
	return 0;
}

/* Leftovers: half-made files, and bits whose segment is gone. */
static void
clean(int folder, const char *name)
{
	char segment[SEGMENT_NAME_SIZE];
	size_t len = strlen(name);

	if (len > 4 && strcmp(name + len - 4, ".tmp") == 0) {
		unlinkat(folder, name, 0);
		return;
	}
	if (!segment_is_name(name, ".done"))
		return;
	snprintf(segment, sizeof(segment), "%.33s.seg", name);
	if (faccessat(folder, segment, F_OK, 0) < 0 && errno == ENOENT)
		unlinkat(folder, name, 0);
}

typedef int name_fn(void *arg, int folder, const char *name);

static int
each_name(int folder, name_fn *fn, void *arg)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;
	int r = 0;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (dir == NULL) {
		r = -errno;
		close(fd);
		return r;
	}
	while (r == 0 && (entry = readdir(dir)) != NULL)
		r = fn(arg, folder, entry->d_name);
	closedir(dir);
	return r;
}

static int
clean_name(void *arg, int folder, const char *name)
{
	(void)arg;
	clean(folder, name);
	return 0;
}

static int
claim(struct slot *s)
{
	int r = -EBUSY;

	for (unsigned n = 0; n < SLOT_COUNT_MAX; n++) {
		r = try_slot(s, n);
		if (r != -EWOULDBLOCK)
			return r;
	}
	return -EBUSY;
}

int
slot_claim(const char *root, bool any_fs, struct slot *ret)
{
	struct slot s = { -1, -1, -1, -1, 0 };
	int r, fs;

	r = make_folders(root);
	if (r < 0)
		return r;
	s.root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s.root < 0)
		return -errno;
	fs = file_system(s.root);
	if (fs >= 0 && file_systems[fs].refused && !any_fs)
		r = -EXDEV;
	if (r == 0)
		r = open_folder(s.root, "quarantine", &s.quarantine);
	if (r == 0)
		r = claim(&s);
	if (r == 0)
		r = each_name(s.folder, clean_name, NULL);
	if (r == 0 && (fsync(s.root) < 0 || fsync(s.folder) < 0))
		r = -errno;
	if (r < 0) {
		slot_release(&s);
		return r;
	}
	*ret = s;
	return 0;
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void
slot_release(struct slot *s)
{
	close_fd(&s->folder);
	close_fd(&s->quarantine);
	close_fd(&s->lock);
	close_fd(&s->root);
}

struct gathering {
	const struct slot *slot;
	struct segment *list;
	unsigned bad;
};

static void
insert(struct segment **list, struct segment *s)
{
	while (*list != NULL && (*list)->base_seq < s->base_seq)
		list = &(*list)->next;
	s->next = *list;
	*list = s;
}

static int
gather(void *arg, int folder, const char *name)
{
	struct gathering *g = arg;
	struct segment *s;
	int r;

	if (!segment_is_name(name, ".seg"))
		return 0;
	r = segment_open(folder, name, &s);
	if (r == 0) {
		insert(&g->list, s);
		return 0;
	}
	if (r != -EBADMSG)
		return r;
	/* Kept for people: it may hold what was acknowledged. */
	g->bad++;
	if (renameat(folder, name, g->slot->quarantine, name) < 0)
		return -errno;
	return 0;
}

static void
free_list(struct segment *list)
{
	struct segment *next;

	for (; list != NULL; list = next) {
		next = list->next;
		segment_free(list);
	}
}

int
slot_segments(
    const struct slot *s, struct segment **ret_list, unsigned *ret_bad)
{
	struct gathering g = { s, NULL, 0 };
	int r = each_name(s->folder, gather, &g);

	if (r < 0) {
		free_list(g.list);
		return r;
	}
	*ret_list = g.list;
	*ret_bad = g.bad;
	return 0;
}

/* One segment of a free slot. Its bits go first: alone they are swept away
 * some day, while a segment without them would be sent again whole. */
static int
adopt_name(void *arg, int folder, const char *name)
{
	struct gathering *g = arg;
	char done[SEGMENT_NAME_SIZE];

	if (!segment_is_name(name, ".seg"))
		return 0;
	snprintf(done, sizeof(done), "%.33s.done", name);
	if (renameat(folder, done, g->slot->folder, done) < 0 &&
	    errno != ENOENT)
		return -errno;
	if (renameat(folder, name, g->slot->folder, name) < 0)
		return -errno;
	return gather(g, g->slot->folder, name);
}

static int
adopt_slot(void *arg, int root, const char *name)
{
	struct gathering *g = arg;
	int folder, lock = -1, r;

	if (strncmp(name, "slot-", 5) != 0)
		return 0;
	folder = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return -errno;
	r = take_lock(folder, &lock);
	if (r < 0) {
		close(folder);
		return r == -EWOULDBLOCK ? 0 : r;
	}
	r = each_name(folder, adopt_name, g);
	if (r == 0)
		r = each_name(folder, clean_name, NULL);
	if (r == 0 && (fsync(folder) < 0 || fsync(g->slot->folder) < 0))
		r = -errno;
	close(lock);
	close(folder);
	return r;
}

int
slot_adopt(const struct slot *s, struct segment **ret_list, unsigned *ret_bad)
{
	struct gathering g = { s, NULL, 0 };
	int r = each_name(s->root, adopt_slot, &g);

	*ret_list = g.list;
	*ret_bad = g.bad;
	return r;
}
