/*
 * zc_local_put.h - what the files of zc_local share: replacing a file, whatever its content comes from.
 */
#ifndef ZC_LOCAL_PUT_H
#define ZC_LOCAL_PUT_H

#include "zc_local.h"

#include <errno.h>
#include <limits.h>

/* One read or write call moves no more: Linux stops at 2^31 - 4096 bytes by itself, macOS refuses above 2^31 - 1. */
#define ZC_IO_STEP ((size_t)1 << 30)

/* Room for the longest name of a temporary file: '.zc-' and three numbers; and for its path. */
#define ZC_TEMPORARY_NBYTES 64
#define ZC_TEMPORARY_PATH_NBYTES (PATH_MAX + ZC_TEMPORARY_NBYTES)

/* What fstatfs gives for an ext file system (2, 3 and 4 have one number). */
#define ZC_EXT_MAGIC 0xEF53

static inline zc_status zc_local_os_failure(int *errno_ret)
{
	*errno_ret = errno;
	return ZC_EOS;
}

static inline int zc_local_is_absence(int error_number)
{
	return error_number == ENOENT || error_number == ENOTDIR;
}

/*
 * Write all of 'content' to the empty file 'fd'.  It is asked again, for another file, if somebody takes the first one
 * away.  What fails is passed on, and the old file stays.
 */
typedef zc_status (*zc_local_fill)(const void *content, int fd, int *errno_ret);

/* zc_local_replace with what 'fill' writes, which will have 'nbytes' bytes. */
zc_status zc_local_put(const char *path, size_t root, zc_local_fill fill, const void *content, uint64_t nbytes,
		       int *errno_ret);

/*
 * An empty file beside 'path' that is open for writing, and its path.  Missing directories are made; ZC_ABSENT if the root
 * is not there.
 */
zc_status zc_local_open_temporary(const char *path, size_t root, char temporary_ret[ZC_TEMPORARY_PATH_NBYTES],
				  int *fd_ret, int *errno_ret);

zc_status zc_local_rename(const char *from, const char *to, int *errno_ret);

/* Close a file that was written: network file systems report a full disk or quota here. */
zc_status zc_local_close_written(int fd, int *errno_ret);

zc_status zc_local_write_all(int fd, const uint8_t *src, size_t nbytes, int *errno_ret);

/* zc_local_write_all at an offset; the file's position stays. */
zc_status zc_local_pwrite_all(int fd, uint64_t offset, const uint8_t *src, size_t nbytes, int *errno_ret);

/*
 * A hint that the file 'fd', which will get the name 'path', is to have 'nbytes' bytes; 1 if blocks were taken for it, which
 * may reach past its end.
 */
int zc_local_expect(int fd, const char *path, uint64_t nbytes);

/* Whether zc_local_copy and streams should take what copy_file_range says, by its errno, as a refusal. */
int zc_local_copy_is_refused(int error_number);

/* Have the file's content on the disk. */
zc_status zc_local_flush_fd(int fd, int *errno_ret);

/* Have the directory of the file 'path' on the disk: which names are in it. */
zc_status zc_local_flush_parent(const char *path, int *errno_ret);

zc_status zc_local_stamp_fd(int fd, zc_local_stamp *stamp_ret, int *errno_ret);

#endif
