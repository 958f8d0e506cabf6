/*
 * zc_local_put.h - what the files of zc_local share: replacing a file, whatever its content comes from.
 */
#ifndef ZC_LOCAL_PUT_H
#define ZC_LOCAL_PUT_H

#include "zc_local.h"

#include <errno.h>

/* One read or write call moves no more: Linux stops at 2^31 - 4096 bytes by itself, macOS refuses above 2^31 - 1. */
#define ZC_IO_STEP ((size_t)1 << 30)

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
zc_status zc_local_put(const char *path, size_t root_nbytes, zc_local_fill fill, const void *content, uint64_t nbytes,
		       int *errno_ret);

zc_status zc_local_write_all(int fd, const uint8_t *src, size_t nbytes, int *errno_ret);

zc_status zc_local_stamp_fd(int fd, zc_local_stamp *stamp_ret, int *errno_ret);

#endif
