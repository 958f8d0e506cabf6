/*
 * zc_local_stream.h - a file that is written as its bytes come, and gets its name at the end.
 *
 * Until then it has a temporary name ('.zc-...') beside 'path', where what was there stays.  A stream belongs to one
 * thread at a time.  Small pieces are collected, so that a system call writes 256 KiB.  *errno_ret is written on ZC_EOS only;
 * after a failure the stream is good for zc_local_stream_drop alone.
 */
#ifndef ZC_LOCAL_STREAM_H
#define ZC_LOCAL_STREAM_H

#include "zc_local.h"

typedef struct zc_local_stream zc_local_stream;

/*
 * Begin a file for 'path', which is copied.  Missing directories are made, but never the root (zc_local.h): ZC_ABSENT if
 * that is not there.
 */
zc_status zc_local_stream_open(const char *path, size_t root, zc_local_stream **stream_ret, int *errno_ret);

/* A hint, before the first byte: so many are to come.  Some file systems write a large new file faster then. */
void zc_local_stream_expect(zc_local_stream *stream, uint64_t nbytes);

/* Add bytes at the end. */
zc_status zc_local_stream_put(zc_local_stream *stream, const uint8_t *src, size_t nbytes, int *errno_ret);

/* Add zeros at the end, to be written over. */
zc_status zc_local_stream_skip(zc_local_stream *stream, uint64_t nbytes, int *errno_ret);

/* Write over what is there already; ZC_EINVAL if the range goes past the end. */
zc_status zc_local_stream_put_at(zc_local_stream *stream, uint64_t offset, const uint8_t *src, size_t nbytes,
				 int *errno_ret);

/*
 * Add a range of the open file 'src_fd', whose position stays, at the end.  ZC_ETRUNCATED if that file ends before.
 *
 * The bytes pass through memory.  Measured on 64 MiB, ranges at odd offsets, from the page cache, in milliseconds of
 * processor time: on ext4 pread and pwrite of 256 KiB take 25 (of a MiB 22, of 64 KiB 34; ranges of 16 KiB each by
 * themselves 55), copy_file_range 31, pwrite from a mapping 44 for ranges of 64 KiB and 22 from a MiB on.  On tmpfs 39, 36
 * and 41.  So ranges are collected like other pieces; only where the file is not on ext4 the system copies large ones,
 * which network file systems do without moving the bytes.
 */
zc_status zc_local_stream_copy(zc_local_stream *stream, int src_fd, uint64_t offset, uint64_t nbytes, int *errno_ret);

/* Bytes so far. */
uint64_t zc_local_stream_nbytes(const zc_local_stream *stream);

/*
 * Give the file its name, in the place of what had it: readers see the old content or the new.  Frees the stream, also on
 * failure, when the old content stays.  ZC_EOS with ENOENT: somebody removed the directory, and the file with it, since
 * the stream was opened.  ZC_ECANCELLED in a child that was forked since: the file is its parent's, who finishes it.
 * With ZC_LOCAL_DURABLE among the root, it is on the disk then.
 */
zc_status zc_local_stream_commit(zc_local_stream *stream, int *errno_ret);

/* Remove the temporary file, unless it is the parent's, and free the stream.  NULL is nothing. */
void zc_local_stream_drop(zc_local_stream *stream);

#endif
