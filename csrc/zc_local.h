/*
 * zc_local.h - objects as files of a local directory: read at an offset, replaced as a whole, removed.
 *
 * Thread safe, and safe in a forked child: no state but a counter.  Paths are NUL-terminated and used as they are; the
 * caller keeps keys inside the root.  *errno_ret is written on ZC_EOS only.
 */
#ifndef ZC_LOCAL_H
#define ZC_LOCAL_H

#include "zc.h"

/*
 * What is called 'root' below says how many bytes of a path name its root, which is never made; with this added, what is
 * written is on the disk when the call returns: the file is flushed before it gets its name, then the directory that has the
 * name, and those above the directories that were made.  Where the last of these fails, the new content is in place.
 */
#define ZC_LOCAL_DURABLE ((size_t)1 << (sizeof(size_t) * 8 - 1))

/* In place of an errno: no system call failed, but what is there is a fifo, a socket or a device. */
#define ZC_LOCAL_NOT_REGULAR (-1)

/* What tells one content of a file from the next. */
typedef struct zc_local_stamp {
	uint64_t nbytes;
	uint64_t inode;
	int64_t mtime_ns;
} zc_local_stamp;

/*
 * Open the file 'path' for reading.  The caller closes *fd_ret with zc_local_close.
 * ZC_ABSENT if there is no such file; a directory of that name is no file.  Anything else that is not a regular file
 * is ZC_EOS with ZC_LOCAL_NOT_REGULAR, and a fifo without a writer does not block.
 */
zc_status zc_local_open(const char *path, int *fd_ret, uint64_t *nbytes_ret, int *errno_ret);

/* zc_local_open, with the stamp of what was opened. */
zc_status zc_local_open_stamped(const char *path, int *fd_ret, zc_local_stamp *stamp_ret, int *errno_ret);

/* The stamp of the regular file 'path'; ZC_ABSENT and ZC_EOS as for zc_local_open. */
zc_status zc_local_stamp_path(const char *path, zc_local_stamp *stamp_ret, int *errno_ret);

/*
 * What tells one content of a file from the next to who keeps the file open meanwhile: device, inode, size, and the time
 * of its last change in nanoseconds, which unlike that of its content nobody can set back.
 */
#define ZC_LOCAL_IDENTITY_WORDS 4
enum zc_local_identity_word { ZC_IDENTITY_DEVICE, ZC_IDENTITY_INODE, ZC_IDENTITY_NBYTES, ZC_IDENTITY_CTIME };

/* zc_local_open, with the identity of what was opened. */
zc_status zc_local_open_identified(const char *path, int *fd_ret, uint64_t identity_ret[ZC_LOCAL_IDENTITY_WORDS],
				   int *errno_ret);

/* The identity of the regular file 'path' (ZC_ABSENT and ZC_EOS as for zc_local_open), and of an open file. */
zc_status zc_local_identify_path(const char *path, uint64_t identity_ret[ZC_LOCAL_IDENTITY_WORDS], int *errno_ret);
zc_status zc_local_identify_fd(int fd, uint64_t identity_ret[ZC_LOCAL_IDENTITY_WORDS], int *errno_ret);

/* Read exactly 'nbytes' bytes at 'offset'; ZC_ETRUNCATED if the file ends before. */
zc_status zc_local_pread(int fd, uint64_t offset, uint8_t *dst, size_t nbytes, int *errno_ret);

/*
 * Read 'n_rows' rows of 'row_nbytes' bytes, the first at 'offset' and each 'file_row_stride' bytes after the one before,
 * to 'dst' and on from there 'dst_stride' bytes (of either sign) apart.  Rows must not overlap in memory; the strides of a
 * single row are not looked at.  Touches no byte between the rows, in the file or in memory.
 * ZC_ETRUNCATED if the file ends before the last row does; what was read until then is in place.
 *
 * Rows that are neighbours in the file come with preadv.  Measured on 32 MiB in the page cache, to touched huge pages on
 * a Zen processor with 512 KiB of L2, beside pread of 256 KiB to one buffer and memcpy of its rows from there, which
 * takes 6.1 ms at any length: rows of 256 B 11.9 ms, 512 B 9.0, 1 KiB 6.8 (even), 2 KiB 5.8, 4 KiB 4.8, 8 KiB 4.2,
 * 64 KiB 3.8.  So: from 2 KiB on; shorter rows want the buffer.
 */
zc_status zc_local_pread_rows(int fd, uint64_t offset, uint64_t file_row_stride, uint8_t *dst, ptrdiff_t dst_stride,
			      size_t row_nbytes, size_t n_rows, int *errno_ret);

/* Another descriptor of the open file; -1 where the process has too many. */
int zc_local_duplicate(int fd);

void zc_local_close(int fd);

/*
 * Make 'src' the whole content of the file 'path': readers see the old content or the new, nothing between, also when
 * the process is killed (which can leave a temporary file, named '.zc-...', beside it).
 * Missing parent directories are made, but never the root: ZC_ABSENT if that is not there.  On failure the temporary file is
 * removed and the old content stays.
 */
zc_status zc_local_replace(const char *path, size_t root, const uint8_t *src, size_t nbytes, int *errno_ret);

/* Bytes on their way to a file: 'n_rows' rows, each 'stride' bytes (of either sign, or 0) after the one before. */
typedef struct zc_local_rows {
	const uint8_t *src;
	ptrdiff_t stride;
	size_t row_nbytes;
	size_t n_rows;
} zc_local_rows;

/*
 * Where a content comes from piece by piece: *rows_ret is what it has from 'offset' on, at least a byte and no more than is
 * left, valid until the next call.  Offsets go up by what was given, and begin again at 0 when the file has to be written
 * anew.  What fails is passed on; ZC_EOS and ZC_ABSENT are not for it.
 */
typedef zc_status (*zc_local_next)(void *context, uint64_t offset, zc_local_rows *rows_ret);

/*
 * zc_local_replace with 'nbytes' bytes in pieces.  ZC_EINVAL if a piece is empty or too long.
 *
 * Rows of several go with writev.  Measured on 32 MiB to ext4 on a Zen processor with 512 KiB of L2, beside memcpy of the
 * rows to a buffer of 512 KiB and write (milliseconds of processor time, buffer and writev): rows of 512 B 13.3 and 22,
 * 1 KiB 12 and 15, 2 KiB 11.4 and 11.1, 4 KiB 11.0 and 9.5, 16 KiB 10.5 and 9.0, 1 MiB 10.1 and 8.5.
 */
zc_status zc_local_replace_pieces(const char *path, size_t root, zc_local_next next, void *context, uint64_t nbytes,
				  int *errno_ret);

/*
 * zc_local_replace with the first 'nbytes' bytes of the open file 'src_fd', whose position stays.  The system copies them
 * where it can (shares them, on file systems that do) or, of large files of ext4, writes them from a mapping; else they pass
 * through 'buffer'.
 * ZC_ETRUNCATED if the file has fewer: the old content of 'path' stays then too.
 */
zc_status zc_local_copy(int src_fd, uint64_t nbytes, const char *path, size_t root, uint8_t *buffer,
			size_t buffer_nbytes, int *errno_ret);

/*
 * zc_local_replace, and *stamp_ret is the stamp of what was written: the modification time is set to a value that this
 * process does not use twice, because the kernel's own clock ticks too slowly to tell two quick writes apart.
 */
zc_status zc_local_replace_stamped(const char *path, size_t root, const uint8_t *src, size_t nbytes,
				   zc_local_stamp *stamp_ret, int *errno_ret);

/*
 * zc_local_replace_stamped for a file that must not be there: ZC_EOS with EEXIST if it is.  One of several concurrent
 * callers wins, also between processes.  ZC_EOS with EPERM, ENOTSUP, ENOSYS or EMLINK where the file system knows no
 * hard links.
 */
zc_status zc_local_create(const char *path, size_t root, const uint8_t *src, size_t nbytes,
			  zc_local_stamp *stamp_ret, int *errno_ret);

/* Remove the file 'path'; ZC_ABSENT if it is not there. */
zc_status zc_local_remove(const char *path, int *errno_ret);

/* zc_local_remove, which is on the disk when this returns, also if the file was not there. */
zc_status zc_local_remove_durably(const char *path, int *errno_ret);

#endif
