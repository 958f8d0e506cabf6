#define _GNU_SOURCE	/* getentropy; O_CLOEXEC under -std=c11 */
#define _DARWIN_C_SOURCE
#include "zc_local_put.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#ifdef __linux__
#include <sys/vfs.h>
#endif
#include <time.h>
#include <unistd.h>

#include "zc_local_fault.h"
#include "zc_parents.h"

/* A directory made here can be removed by somebody else before it is used; after so many rounds that is an error. */
#define ZC_MAX_ROUNDS 64

/* Files of an ext file system from here on get their blocks before their bytes. */
#define ZC_RESERVED_NBYTES ((uint64_t)8 << 20)

enum publish_how { PUBLISH_REPLACE, PUBLISH_CREATE };

/* A file on its way to 'path'. */
typedef struct pending {
	const char *path;
	size_t root;
	zc_local_fill fill;
	const void *content;
	uint64_t nbytes;
	enum publish_how how;
	zc_local_stamp *stamp_ret;	/* NULL: no stamp wanted */
	char temporary[ZC_TEMPORARY_PATH_NBYTES];
} pending;

/* What most files are filled with. */
typedef struct bytes {
	const uint8_t *src;
	size_t nbytes;
} bytes;

/* What those are filled with that are not in memory as a whole. */
typedef struct pieces {
	zc_local_next next;
	void *context;
	uint64_t nbytes;
} pieces;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The time of day, moved on where needed to be later than any that this process was given before. */
static uint64_t unique_now_ns(void)
{
	static _Atomic uint64_t last;
	uint64_t before = atomic_load(&last);
	uint64_t now = now_ns();
	uint64_t mine;

	do
		mine = now > before ? now : before + 1;
	while (!atomic_compare_exchange_weak(&last, &before, mine));
	return mine;
}

/*
 * The name tells the process (to find who left it), and random bits keep two machines on one file system apart; two
 * equal names are caught by O_EXCL.
 */
static zc_status name_temporary(const char *path, char *temporary, int *errno_ret)
{
	static _Atomic unsigned long counter;
	const char *slash = strrchr(path, '/');
	size_t dir_nbytes = slash == NULL ? 0 : (size_t)(slash - path) + 1;
	uint64_t salt;

	if (dir_nbytes >= PATH_MAX) {
		*errno_ret = ENAMETOOLONG;
		return ZC_EOS;
	}
	if (getentropy(&salt, sizeof(salt)) != 0)
		salt = now_ns();
	memcpy(temporary, path, dir_nbytes);
	snprintf(temporary + dir_nbytes, ZC_TEMPORARY_NBYTES, ".zc-%ld-%lu-%llx", (long)getpid(),
		 atomic_fetch_add(&counter, 1), (unsigned long long)salt);
	return ZC_OK;
}

static int open_exclusively(const char *path)
{
	int fd;

	ZC_FAULT_POINT();
	do
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	while (fd < 0 && errno == EINTR);
	ZC_FAULT_POINT();
	return fd;
}

zc_status zc_local_open_temporary(const char *path, size_t root, char temporary_ret[ZC_TEMPORARY_PATH_NBYTES],
				  int *fd_ret, int *errno_ret)
{
	zc_status status = ZC_OK;

	for (int round = 0; round < ZC_MAX_ROUNDS && status == ZC_OK; round++) {
		status = name_temporary(path, temporary_ret, errno_ret);
		if (status != ZC_OK)
			return status;
		*fd_ret = open_exclusively(temporary_ret);
		if (*fd_ret >= 0)
			return ZC_OK;
		*errno_ret = errno;
		if (errno == ENOENT)
			status = zc_make_parents(temporary_ret, root, errno_ret);
		else if (errno != EEXIST)
			return ZC_EOS;
	}
	return status == ZC_OK ? ZC_EOS : status;
}

zc_status zc_local_write_all(int fd, const uint8_t *src, size_t nbytes, int *errno_ret)
{
	while (nbytes > 0) {
		ssize_t n;

		ZC_FAULT_POINT();
		n = write(fd, src, nbytes < ZC_IO_STEP ? nbytes : ZC_IO_STEP);
		ZC_FAULT_POINT();
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return zc_local_os_failure(errno_ret);
		}
		if (n == 0) {	/* POSIX leaves it open what this means; it would loop for ever */
			*errno_ret = EIO;
			return ZC_EOS;
		}
		src += n;
		nbytes -= (size_t)n;
	}
	return ZC_OK;
}

zc_status zc_local_pwrite_all(int fd, uint64_t offset, const uint8_t *src, size_t nbytes, int *errno_ret)
{
	if (offset > INT64_MAX || nbytes > (uint64_t)INT64_MAX - offset) {
		*errno_ret = EFBIG;
		return ZC_EOS;
	}
	while (nbytes > 0) {
		ssize_t n;

		ZC_FAULT_POINT();
		n = pwrite(fd, src, nbytes < ZC_IO_STEP ? nbytes : ZC_IO_STEP, (off_t)offset);
		ZC_FAULT_POINT();
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return zc_local_os_failure(errno_ret);
		}
		if (n == 0) {
			*errno_ret = EIO;
			return ZC_EOS;
		}
		src += n;
		offset += (uint64_t)n;
		nbytes -= (size_t)n;
	}
	return ZC_OK;
}

static zc_status stamp(int fd, zc_local_stamp *stamp_ret, int *errno_ret)
{
	uint64_t ns = unique_now_ns();
	struct timespec times[2] = { { .tv_sec = 0, .tv_nsec = UTIME_OMIT } };

	times[1].tv_sec = (time_t)(ns / 1000000000);
	times[1].tv_nsec = (long)(ns % 1000000000);
	if (futimens(fd, times) != 0)
		return zc_local_os_failure(errno_ret);
	/* Read back: a file system may keep fewer digits than it was given. */
	return zc_local_stamp_fd(fd, stamp_ret, errno_ret);
}

/*
 * Have the blocks of a large new file allocated at once: ext4 else counts and notes each block of 4 KiB as it is written.
 * Processor time for 32 MiB 7.8 -> 4.7 ms; 256 MiB in files of 8 MiB by two threads 106 -> 88, which is 54 -> 47 of wall
 * time.  Of 4 MiB 184 -> 188 and 91 -> 100: the threads wait for each other.  Until all is on the disk the system as a
 * whole takes the same.
 * Not for a file that replaces another: ext4 begins to write such a one to the disk when it gets the other's name, so
 * that a power failure seldom takes both contents, but only if its blocks are not allocated yet.  The file's length stays
 * what is written, else what did not get to the disk would read as zeros.  What fails here is left for write to say.
 */
int zc_local_expect(int fd, const char *path, uint64_t nbytes)
{
#ifdef __linux__
	struct statfs where;
	struct stat old;

	if (nbytes < ZC_RESERVED_NBYTES || nbytes > INT64_MAX || fstatfs(fd, &where) != 0 || where.f_type != ZC_EXT_MAGIC ||
	    lstat(path, &old) == 0)
		return 0;
	return fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)nbytes) == 0;
#else
	(void)fd, (void)path, (void)nbytes;
	return 0;
#endif
}

static zc_status fill_and_close(const pending *file, int fd, int *errno_ret)
{
	zc_status status, closed;
	int close_errno = 0;

	(void)zc_local_expect(fd, file->path, file->nbytes);
	status = file->fill(file->content, fd, errno_ret);
	if (status == ZC_OK && file->stamp_ret != NULL)
		status = stamp(fd, file->stamp_ret, errno_ret);
	if (status == ZC_OK && (file->root & ZC_LOCAL_DURABLE))
		status = zc_local_flush_fd(fd, errno_ret);
	closed = zc_local_close_written(fd, &close_errno);
	if (status != ZC_OK || closed == ZC_OK)
		return status;
	*errno_ret = close_errno;
	return closed;
}

static zc_status publish(const pending *file, int *errno_ret)
{
	if (file->how == PUBLISH_REPLACE)
		return zc_local_rename(file->temporary, file->path, errno_ret);
	ZC_FAULT_POINT();
	if (link(file->temporary, file->path) != 0)
		return zc_local_os_failure(errno_ret);
	ZC_FAULT_POINT();
	unlink(file->temporary);
	ZC_FAULT_POINT();
	return ZC_OK;
}

zc_status zc_local_rename(const char *from, const char *to, int *errno_ret)
{
	zc_status status;

	ZC_FAULT_POINT();
	status = rename(from, to) == 0 ? ZC_OK : zc_local_os_failure(errno_ret);
	ZC_FAULT_POINT();
	return status;
}

zc_status zc_local_close_written(int fd, int *errno_ret)
{
	/* After EINTR the descriptor is closed all the same. */
	return close(fd) != 0 && errno != EINTR ? zc_local_os_failure(errno_ret) : ZC_OK;
}

static zc_status put_once(pending *file, int *errno_ret)
{
	int fd = -1;
	zc_status status = zc_local_open_temporary(file->path, file->root, file->temporary, &fd, errno_ret);

	if (status != ZC_OK)
		return status;
	status = fill_and_close(file, fd, errno_ret);
	if (status == ZC_OK)
		status = publish(file, errno_ret);
	if (status != ZC_OK) {
		unlink(file->temporary);
		return status;
	}
	return file->root & ZC_LOCAL_DURABLE ? zc_local_flush_parent(file->path, errno_ret) : ZC_OK;
}

/* Who removes the tree that we write to can take the temporary file too; the object is then written after that. */
static zc_status put(pending *file, int *errno_ret)
{
	zc_status status = ZC_EOS;

	*errno_ret = ENOENT;
	for (int round = 0; round < ZC_MAX_ROUNDS && status == ZC_EOS && *errno_ret == ENOENT; round++)
		status = put_once(file, errno_ret);
	return status;
}

static zc_status put_by(const char *path, size_t root, zc_local_fill fill, const void *content, uint64_t nbytes,
			enum publish_how how, zc_local_stamp *stamp_ret, int *errno_ret)
{
	pending file;

	/* Not an initialiser: that would clear the path's room too. */
	file.path = path;
	file.root = root;
	file.fill = fill;
	file.content = content;
	file.nbytes = nbytes;
	file.how = how;
	file.stamp_ret = stamp_ret;
	return put(&file, errno_ret);
}

zc_status zc_local_put(const char *path, size_t root, zc_local_fill fill, const void *content, uint64_t nbytes,
		       int *errno_ret)
{
	return put_by(path, root, fill, content, nbytes, PUBLISH_REPLACE, NULL, errno_ret);
}

static zc_status fill_with_bytes(const void *content, int fd, int *errno_ret)
{
	const bytes *whole = (const bytes *)content;

	return zc_local_write_all(fd, whole->src, whole->nbytes, errno_ret);
}

zc_status zc_local_replace(const char *path, size_t root, const uint8_t *src, size_t nbytes, int *errno_ret)
{
	bytes whole = { src, nbytes };

	return put_by(path, root, fill_with_bytes, &whole, nbytes, PUBLISH_REPLACE, NULL, errno_ret);
}

/* Rows that one writev takes: from 64 on they measure the same. */
#define ZC_ROWS_AT_ONCE ((size_t)128)

/* The first rows, as many as one call takes; their number is written to *n_ret. */
static zc_status write_some_rows(int fd, const zc_local_rows *rows, size_t *n_ret, int *errno_ret)
{
	struct iovec vectors[ZC_ROWS_AT_ONCE];
	size_t n = rows->n_rows < ZC_ROWS_AT_ONCE ? rows->n_rows : ZC_ROWS_AT_ONCE;
	size_t whole, rest;
	ssize_t put;

	if (n > ZC_IO_STEP / rows->row_nbytes)
		n = ZC_IO_STEP / rows->row_nbytes;
	*n_ret = 1;
	if (n < 2)
		return zc_local_write_all(fd, rows->src, rows->row_nbytes, errno_ret);
	for (size_t i = 0; i < n; i++) {
		/* writev only reads; its vectors are those of readv too. */
		vectors[i].iov_base = (void *)(uintptr_t)(rows->src + (ptrdiff_t)i * rows->stride);
		vectors[i].iov_len = rows->row_nbytes;
	}
	ZC_FAULT_POINT();
	do
		put = writev(fd, vectors, (int)n);
	while (put < 0 && errno == EINTR);
	ZC_FAULT_POINT();
	if (put < 0)
		return zc_local_os_failure(errno_ret);
	whole = (size_t)put / rows->row_nbytes;
	rest = (size_t)put % rows->row_nbytes;
	*n_ret = whole;
	if (rest == 0 && whole > 0)
		return ZC_OK;
	/* A signal, or a disk that is nearly full: the row that was begun is finished by itself. */
	*n_ret = whole + 1;
	return zc_local_write_all(fd, rows->src + (ptrdiff_t)whole * rows->stride + rest, rows->row_nbytes - rest, errno_ret);
}

static zc_status write_rows(int fd, zc_local_rows rows, int *errno_ret)
{
	zc_status status = ZC_OK;

	while (rows.n_rows > 0 && status == ZC_OK) {
		size_t n = 1;

		status = write_some_rows(fd, &rows, &n, errno_ret);
		/* Nowhere past the last row, which need not be in the caller's memory. */
		rows.n_rows -= n;
		if (rows.n_rows > 0)
			rows.src += (ptrdiff_t)n * rows.stride;
	}
	return status;
}

static zc_status fill_with_pieces(const void *content, int fd, int *errno_ret)
{
	const pieces *all = (const pieces *)content;
	uint64_t done = 0;
	zc_status status = ZC_OK;

	while (done < all->nbytes && status == ZC_OK) {
		zc_local_rows rows = { NULL, 0, 0, 0 };

		status = all->next(all->context, done, &rows);
		if (status != ZC_OK)
			return status;
		if (rows.row_nbytes == 0 || rows.n_rows == 0 || rows.n_rows > (all->nbytes - done) / rows.row_nbytes)
			return ZC_EINVAL;
		status = write_rows(fd, rows, errno_ret);
		done += (uint64_t)rows.n_rows * rows.row_nbytes;
	}
	return status;
}

zc_status zc_local_replace_pieces(const char *path, size_t root, zc_local_next next, void *context, uint64_t nbytes,
				  int *errno_ret)
{
	pieces all = { next, context, nbytes };

	return zc_local_put(path, root, fill_with_pieces, &all, nbytes, errno_ret);
}

zc_status zc_local_replace_stamped(const char *path, size_t root, const uint8_t *src, size_t nbytes,
				   zc_local_stamp *stamp_ret, int *errno_ret)
{
	bytes whole = { src, nbytes };

	return put_by(path, root, fill_with_bytes, &whole, nbytes, PUBLISH_REPLACE, stamp_ret, errno_ret);
}

zc_status zc_local_create(const char *path, size_t root, const uint8_t *src, size_t nbytes,
			  zc_local_stamp *stamp_ret, int *errno_ret)
{
	bytes whole = { src, nbytes };

	return put_by(path, root, fill_with_bytes, &whole, nbytes, PUBLISH_CREATE, stamp_ret, errno_ret);
}

zc_status zc_local_remove(const char *path, int *errno_ret)
{
	int failed;

	ZC_FAULT_POINT();
	failed = unlink(path) != 0;
	ZC_FAULT_POINT();
	if (!failed)
		return ZC_OK;
	if (zc_local_is_absence(errno))
		return ZC_ABSENT;
	/* A directory is no object.  Linux says EISDIR, POSIX and macOS EPERM, which can also mean a protected file. */
	if (errno == EISDIR || errno == EPERM) {
		int failure = errno;
		struct stat info;

		if (lstat(path, &info) == 0 && S_ISDIR(info.st_mode))
			return ZC_ABSENT;
		errno = failure;
	}
	return zc_local_os_failure(errno_ret);
}

zc_status zc_local_remove_durably(const char *path, int *errno_ret)
{
	zc_status status = zc_local_remove(path, errno_ret);
	zc_status flushed;

	/* Of a file that is not there, another process may just have removed the name. */
	if (status != ZC_OK && status != ZC_ABSENT)
		return status;
	flushed = zc_local_flush_parent(path, errno_ret);
	if (flushed == ZC_OK || (flushed == ZC_EOS && zc_local_is_absence(*errno_ret)))
		return status;
	return flushed;
}
