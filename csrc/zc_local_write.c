#define _GNU_SOURCE	/* getentropy; O_CLOEXEC under -std=c11 */
#define _DARWIN_C_SOURCE
#include "zc_local_put.h"

#include <fcntl.h>
#include <limits.h>
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

/* A directory made here can be removed by somebody else before it is used; after so many rounds that is an error. */
#define ZC_MAX_ROUNDS 64

/* Room for the longest name of a temporary file: '.zc-' and three numbers. */
#define ZC_TEMPORARY_NBYTES 64

/* Files of an ext file system from here on get their blocks before their bytes. */
#define ZC_RESERVED_NBYTES ((uint64_t)8 << 20)

enum publish_how { PUBLISH_REPLACE, PUBLISH_CREATE };

/* A file on its way to 'path'. */
typedef struct pending {
	const char *path;
	size_t root_nbytes;
	zc_local_fill fill;
	const void *content;
	uint64_t nbytes;
	enum publish_how how;
	zc_local_stamp *stamp_ret;	/* NULL: no stamp wanted */
	char temporary[PATH_MAX + ZC_TEMPORARY_NBYTES];
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
static zc_status name_temporary(pending *file, int *errno_ret)
{
	static _Atomic unsigned long counter;
	const char *slash = strrchr(file->path, '/');
	size_t dir_nbytes = slash == NULL ? 0 : (size_t)(slash - file->path) + 1;
	uint64_t salt;

	if (dir_nbytes >= PATH_MAX) {
		*errno_ret = ENAMETOOLONG;
		return ZC_EOS;
	}
	if (getentropy(&salt, sizeof(salt)) != 0)
		salt = now_ns();
	memcpy(file->temporary, file->path, dir_nbytes);
	snprintf(file->temporary + dir_nbytes, ZC_TEMPORARY_NBYTES, ".zc-%ld-%lu-%llx", (long)getpid(),
		 atomic_fetch_add(&counter, 1), (unsigned long long)salt);
	return ZC_OK;
}

/* mkdir for the first 'nbytes' bytes of 'path'; an existing one is fine.  0, or errno. */
static int make_directory(char *path, size_t nbytes)
{
	char kept = path[nbytes];
	int result;

	path[nbytes] = '\0';
	result = mkdir(path, 0777) == 0 || errno == EEXIST ? 0 : errno;
	path[nbytes] = kept;
	return result;
}

/* The length of the parent of the first 'nbytes' bytes of 'path': up to the last slash, without it. */
static size_t parent_nbytes(const char *path, size_t nbytes)
{
	while (nbytes > 0 && path[nbytes - 1] != '/')
		nbytes--;
	while (nbytes > 0 && path[nbytes - 1] == '/')
		nbytes--;
	return nbytes;
}

/*
 * Make the directories above 'path' that are below its root.  From the deepest upwards until one can be made, then
 * down again: most often all but the last one are there.
 */
static zc_status make_parents(char *path, size_t root_nbytes, int *errno_ret)
{
	size_t end = parent_nbytes(path, strlen(path));
	size_t at = end;

	for (;;) {
		int failure;

		if (at <= root_nbytes)
			return ZC_ABSENT;
		failure = make_directory(path, at);
		if (failure == 0) {
			if (at == end)
				return ZC_OK;
			/* One level down: past the slashes, then to the end of the name. */
			while (path[at] == '/')
				at++;
			while (at < end && path[at] != '/')
				at++;
		} else if (failure == ENOENT) {
			at = parent_nbytes(path, at);
		} else {
			*errno_ret = failure;
			return ZC_EOS;
		}
	}
}

static int open_exclusively(const char *path)
{
	int fd;

	do
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	while (fd < 0 && errno == EINTR);
	return fd;
}

static zc_status open_temporary(pending *file, int *fd_ret, int *errno_ret)
{
	zc_status status = ZC_OK;

	for (int round = 0; round < ZC_MAX_ROUNDS && status == ZC_OK; round++) {
		status = name_temporary(file, errno_ret);
		if (status != ZC_OK)
			return status;
		*fd_ret = open_exclusively(file->temporary);
		if (*fd_ret >= 0)
			return ZC_OK;
		*errno_ret = errno;
		if (errno == ENOENT)
			status = make_parents(file->temporary, file->root_nbytes, errno_ret);
		else if (errno != EEXIST)
			return ZC_EOS;
	}
	return status == ZC_OK ? ZC_EOS : status;
}

zc_status zc_local_write_all(int fd, const uint8_t *src, size_t nbytes, int *errno_ret)
{
	while (nbytes > 0) {
		ssize_t n = write(fd, src, nbytes < ZC_IO_STEP ? nbytes : ZC_IO_STEP);

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
static void reserve(const pending *file, int fd)
{
#ifdef __linux__
	struct statfs where;
	struct stat old;

	if (file->nbytes < ZC_RESERVED_NBYTES || file->nbytes > INT64_MAX || fstatfs(fd, &where) != 0 ||
	    where.f_type != ZC_EXT_MAGIC || lstat(file->path, &old) == 0)
		return;
	(void)fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)file->nbytes);
#else
	(void)file, (void)fd;
#endif
}

static zc_status fill_and_close(const pending *file, int fd, int *errno_ret)
{
	zc_status status;

	reserve(file, fd);
	status = file->fill(file->content, fd, errno_ret);
	if (status == ZC_OK && file->stamp_ret != NULL)
		status = stamp(fd, file->stamp_ret, errno_ret);
	/* Network file systems report a full disk or quota here.  After EINTR the descriptor is closed all the same. */
	if (close(fd) != 0 && errno != EINTR && status == ZC_OK)
		status = zc_local_os_failure(errno_ret);
	return status;
}

static zc_status publish(const pending *file, int *errno_ret)
{
	if (file->how == PUBLISH_REPLACE)
		return rename(file->temporary, file->path) == 0 ? ZC_OK : zc_local_os_failure(errno_ret);
	if (link(file->temporary, file->path) != 0)
		return zc_local_os_failure(errno_ret);
	unlink(file->temporary);
	return ZC_OK;
}

static zc_status put_once(pending *file, int *errno_ret)
{
	int fd = -1;
	zc_status status = open_temporary(file, &fd, errno_ret);

	if (status != ZC_OK)
		return status;
	status = fill_and_close(file, fd, errno_ret);
	if (status == ZC_OK)
		status = publish(file, errno_ret);
	if (status != ZC_OK)
		unlink(file->temporary);
	return status;
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

static zc_status put_by(const char *path, size_t root_nbytes, zc_local_fill fill, const void *content, uint64_t nbytes,
			enum publish_how how, zc_local_stamp *stamp_ret, int *errno_ret)
{
	pending file;

	/* Not an initialiser: that would clear the path's room too. */
	file.path = path;
	file.root_nbytes = root_nbytes;
	file.fill = fill;
	file.content = content;
	file.nbytes = nbytes;
	file.how = how;
	file.stamp_ret = stamp_ret;
	return put(&file, errno_ret);
}

zc_status zc_local_put(const char *path, size_t root_nbytes, zc_local_fill fill, const void *content, uint64_t nbytes,
		       int *errno_ret)
{
	return put_by(path, root_nbytes, fill, content, nbytes, PUBLISH_REPLACE, NULL, errno_ret);
}

static zc_status fill_with_bytes(const void *content, int fd, int *errno_ret)
{
	const bytes *whole = (const bytes *)content;

	return zc_local_write_all(fd, whole->src, whole->nbytes, errno_ret);
}

zc_status zc_local_replace(const char *path, size_t root_nbytes, const uint8_t *src, size_t nbytes, int *errno_ret)
{
	bytes whole = { src, nbytes };

	return put_by(path, root_nbytes, fill_with_bytes, &whole, nbytes, PUBLISH_REPLACE, NULL, errno_ret);
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
	do
		put = writev(fd, vectors, (int)n);
	while (put < 0 && errno == EINTR);
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

zc_status zc_local_replace_pieces(const char *path, size_t root_nbytes, zc_local_next next, void *context, uint64_t nbytes,
				  int *errno_ret)
{
	pieces all = { next, context, nbytes };

	return zc_local_put(path, root_nbytes, fill_with_pieces, &all, nbytes, errno_ret);
}

zc_status zc_local_replace_stamped(const char *path, size_t root_nbytes, const uint8_t *src, size_t nbytes,
				   zc_local_stamp *stamp_ret, int *errno_ret)
{
	bytes whole = { src, nbytes };

	return put_by(path, root_nbytes, fill_with_bytes, &whole, nbytes, PUBLISH_REPLACE, stamp_ret, errno_ret);
}

zc_status zc_local_create(const char *path, size_t root_nbytes, const uint8_t *src, size_t nbytes,
			  zc_local_stamp *stamp_ret, int *errno_ret)
{
	bytes whole = { src, nbytes };

	return put_by(path, root_nbytes, fill_with_bytes, &whole, nbytes, PUBLISH_CREATE, stamp_ret, errno_ret);
}

zc_status zc_local_remove(const char *path, int *errno_ret)
{
	if (unlink(path) == 0)
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
