/* zc_parents.h - the directories above a file, made where they are missing. */
#ifndef ZC_PARENTS_H
#define ZC_PARENTS_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "zc.h"
#include "zc_local.h"

/* Flush the directory that the first 'nbytes' bytes of 'path' name: the names in it.  0, or errno. */
static inline int zc_flush_directory(const char *path, size_t nbytes)
{
	char name[PATH_MAX + 1];
	int fd, result;

	if (nbytes >= sizeof(name))
		return ENAMETOOLONG;
	memcpy(name, path, nbytes);
	name[nbytes] = '\0';
	do
		fd = open(nbytes > 0 ? name : path[0] == '/' ? "/" : ".", O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return errno;
	do
		result = fsync(fd) == 0 ? 0 : errno;
	while (result == EINTR);
	close(fd);
	/* Some file systems know nothing of the kind. */
	return result == EINVAL || result == ENOTSUP ? 0 : result;
}

/* mkdir for the first 'nbytes' bytes of 'path'; an existing one is fine.  0, or errno. */
static inline int zc_make_directory(char *path, size_t nbytes)
{
	char kept = path[nbytes];
	int result;

	path[nbytes] = '\0';
	result = mkdir(path, 0777) == 0 || errno == EEXIST ? 0 : errno;
	path[nbytes] = kept;
	return result;
}

/* The length of the parent of the first 'nbytes' bytes of 'path': up to the last slash, without it. */
static inline size_t zc_parent_nbytes(const char *path, size_t nbytes)
{
	while (nbytes > 0 && path[nbytes - 1] != '/')
		nbytes--;
	while (nbytes > 0 && path[nbytes - 1] == '/')
		nbytes--;
	return nbytes;
}

/*
 * Make the directories above 'path' that are below its root (zc_local.h): ZC_ABSENT if that is not there.  From the deepest
 * upwards until one can be made, then down again: most often all but the last one are there.
 */
static inline zc_status zc_make_parents(char *path, size_t root, int *errno_ret)
{
	size_t root_nbytes = root & ~ZC_LOCAL_DURABLE;
	size_t end = zc_parent_nbytes(path, strlen(path));
	size_t at = end;

	for (;;) {
		int failure;

		if (at <= root_nbytes)
			return ZC_ABSENT;
		failure = zc_make_directory(path, at);
		/* Also if it was there: another thread may have made it a moment ago. */
		if (failure == 0 && (root & ZC_LOCAL_DURABLE))
			failure = zc_flush_directory(path, zc_parent_nbytes(path, at));
		if (failure == 0) {
			if (at == end)
				return ZC_OK;
			/* One level down: past the slashes, then to the end of the name. */
			while (path[at] == '/')
				at++;
			while (at < end && path[at] != '/')
				at++;
		} else if (failure == ENOENT) {
			at = zc_parent_nbytes(path, at);
		} else {
			*errno_ret = failure;
			return ZC_EOS;
		}
	}
}

#endif
