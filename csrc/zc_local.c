#define _GNU_SOURCE	/* getentropy; O_CLOEXEC under -std=c11 */
#define _DARWIN_C_SOURCE
#include "zc_local.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* One read or write call moves no more: Linux stops at 2^31 - 4096 bytes by itself, macOS refuses above 2^31 - 1. */
#define ZC_IO_STEP ((size_t)1 << 30)

/* A directory made here can be removed by somebody else before it is used; after so many rounds that is an error. */
#define ZC_MAX_ROUNDS 64

/* Room for the longest name of a temporary file: '.zc-' and three numbers. */
#define ZC_TEMPORARY_NBYTES 64

enum publish_how { PUBLISH_REPLACE, PUBLISH_CREATE };

/* A file on its way to 'path'. */
typedef struct pending {
	const char *path;
	size_t root_nbytes;
	const uint8_t *src;
	uint64_t nbytes;
	int src_fd;			/* where 'src' is NULL and there is something to copy; 'buffer' is for that */
	uint8_t *buffer;
	size_t buffer_nbytes;
	enum publish_how how;
	zc_local_stamp *stamp_ret;	/* NULL: no stamp wanted */
	char temporary[PATH_MAX + ZC_TEMPORARY_NBYTES];
} pending;

static zc_status os_failure(int *errno_ret)
{
	*errno_ret = errno;
	return ZC_EOS;
}

static int is_absence(int error_number)
{
	return error_number == ENOENT || error_number == ENOTDIR;
}

/* Reading. */

static int64_t mtime_ns_of(const struct stat *info)
{
#ifdef __APPLE__
	return (int64_t)info->st_mtimespec.tv_sec * 1000000000 + info->st_mtimespec.tv_nsec;
#else
	return (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec;
#endif
}

static void stamp_of(const struct stat *info, zc_local_stamp *stamp_ret)
{
	stamp_ret->nbytes = (uint64_t)info->st_size;
	stamp_ret->inode = (uint64_t)info->st_ino;
	stamp_ret->mtime_ns = mtime_ns_of(info);
}

static zc_status check_regular(const struct stat *info, int *errno_ret)
{
	if (S_ISREG(info->st_mode))
		return ZC_OK;
	if (S_ISDIR(info->st_mode))
		return ZC_ABSENT;
	*errno_ret = ZC_LOCAL_NOT_REGULAR;
	return ZC_EOS;
}

static zc_status open_failure(int *errno_ret)
{
	if (is_absence(errno))
		return ZC_ABSENT;
	/* Sockets, and devices without a driver. */
	*errno_ret = errno == ENXIO ? ZC_LOCAL_NOT_REGULAR : errno;
	return ZC_EOS;
}

static zc_status open_regular(const char *path, int *fd_ret, struct stat *info_ret, int *errno_ret)
{
	zc_status status;
	int fd;

	do
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return open_failure(errno_ret);
	status = fstat(fd, info_ret) == 0 ? check_regular(info_ret, errno_ret) : os_failure(errno_ret);
	if (status != ZC_OK) {
		zc_local_close(fd);
		return status;
	}
	*fd_ret = fd;
	return ZC_OK;
}

zc_status zc_local_open(const char *path, int *fd_ret, uint64_t *nbytes_ret, int *errno_ret)
{
	struct stat info;
	zc_status status = open_regular(path, fd_ret, &info, errno_ret);

	if (status == ZC_OK)
		*nbytes_ret = (uint64_t)info.st_size;
	return status;
}

zc_status zc_local_open_stamped(const char *path, int *fd_ret, zc_local_stamp *stamp_ret, int *errno_ret)
{
	struct stat info;
	zc_status status = open_regular(path, fd_ret, &info, errno_ret);

	if (status == ZC_OK)
		stamp_of(&info, stamp_ret);
	return status;
}

static zc_status stamp_fd(int fd, zc_local_stamp *stamp_ret, int *errno_ret)
{
	struct stat info;

	if (fstat(fd, &info) != 0)
		return os_failure(errno_ret);
	stamp_of(&info, stamp_ret);
	return ZC_OK;
}

zc_status zc_local_stamp_path(const char *path, zc_local_stamp *stamp_ret, int *errno_ret)
{
	struct stat info;
	zc_status status;

	if (stat(path, &info) != 0)
		return is_absence(errno) ? ZC_ABSENT : os_failure(errno_ret);
	status = check_regular(&info, errno_ret);
	if (status == ZC_OK)
		stamp_of(&info, stamp_ret);
	return status;
}

zc_status zc_local_pread(int fd, uint64_t offset, uint8_t *dst, size_t nbytes, int *errno_ret)
{
	/* By subtraction: offset + nbytes can wrap around 2^64. */
	if (offset > INT64_MAX || nbytes > (uint64_t)INT64_MAX - offset)
		return ZC_ETRUNCATED;
	while (nbytes > 0) {
		ssize_t n = pread(fd, dst, nbytes < ZC_IO_STEP ? nbytes : ZC_IO_STEP, (off_t)offset);

		if (n == 0)
			return ZC_ETRUNCATED;
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return os_failure(errno_ret);
		}
		dst += n;
		offset += (uint64_t)n;
		nbytes -= (size_t)n;
	}
	return ZC_OK;
}

/* Rows that one preadv fills: enough that the call is forgotten (256, 512 and the allowed 1024 are no faster). */
#define ZC_ROWS_AT_ONCE ((size_t)128)

/* Before macOS 11 there is no preadv. */
#if defined(__ENVIRONMENT_MAC_OS_X_VERSION_MIN_REQUIRED__) && __ENVIRONMENT_MAC_OS_X_VERSION_MIN_REQUIRED__ < 110000
#define ZC_HAS_PREADV 0
#else
#define ZC_HAS_PREADV 1
#endif

/* Rows 'first' and on, side by side in the file: as many as one call takes.  The number of rows is written to *n_ret. */
static zc_status pread_some_rows(int fd, uint64_t offset, uint8_t *dst, ptrdiff_t dst_stride, size_t row_nbytes,
				 size_t n_rows, size_t *n_ret, int *errno_ret)
{
	struct iovec rows[ZC_ROWS_AT_ONCE];
	size_t n = n_rows < ZC_ROWS_AT_ONCE ? n_rows : ZC_ROWS_AT_ONCE;
	size_t whole, rest;
	ssize_t got;

	if (n > ZC_IO_STEP / row_nbytes)
		n = ZC_IO_STEP / row_nbytes;
	if (!ZC_HAS_PREADV || n < 2) {
		*n_ret = 1;
		return zc_local_pread(fd, offset, dst, row_nbytes, errno_ret);
	}
	for (size_t i = 0; i < n; i++) {
		rows[i].iov_base = dst + (ptrdiff_t)i * dst_stride;
		rows[i].iov_len = row_nbytes;
	}
	do
		got = preadv(fd, rows, (int)n, (off_t)offset);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return os_failure(errno_ret);
	if (got == 0)
		return ZC_ETRUNCATED;
	whole = (size_t)got / row_nbytes;
	rest = (size_t)got % row_nbytes;
	*n_ret = whole;
	if (rest == 0)
		return ZC_OK;
	/* A signal, or the end of the file: the row that was begun is finished by itself. */
	*n_ret = whole + 1;
	return zc_local_pread(fd, offset + (uint64_t)got, dst + (ptrdiff_t)whole * dst_stride + rest, row_nbytes - rest,
			      errno_ret);
}

zc_status zc_local_pread_rows(int fd, uint64_t offset, uint64_t file_row_stride, uint8_t *dst, ptrdiff_t dst_stride,
			      size_t row_nbytes, size_t n_rows, int *errno_ret)
{
	int side_by_side = file_row_stride == row_nbytes;
	zc_status status = ZC_OK;

	if (n_rows == 0 || row_nbytes == 0)
		return ZC_OK;
	/* By division and subtraction: the end of the last row can be past 2^64. */
	if (offset > INT64_MAX || row_nbytes > (uint64_t)INT64_MAX - offset ||
	    (n_rows > 1 && file_row_stride > 0 &&
	     n_rows - 1 > ((uint64_t)INT64_MAX - offset - row_nbytes) / file_row_stride))
		return ZC_ETRUNCATED;
	while (n_rows > 0 && status == ZC_OK) {
		size_t n = 1;

		if (side_by_side)
			status = pread_some_rows(fd, offset, dst, dst_stride, row_nbytes, n_rows, &n, errno_ret);
		else
			status = zc_local_pread(fd, offset, dst, row_nbytes, errno_ret);
		/* Nowhere past the last row, which need not be in the caller's memory. */
		n_rows -= n;
		offset += n * file_row_stride;
		if (n_rows > 0)
			dst += (ptrdiff_t)n * dst_stride;
	}
	return status;
}

void zc_local_close(int fd)
{
	close(fd);
}

/* Writing. */

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

static zc_status write_all(int fd, const uint8_t *src, size_t nbytes, int *errno_ret)
{
	while (nbytes > 0) {
		ssize_t n = write(fd, src, nbytes < ZC_IO_STEP ? nbytes : ZC_IO_STEP);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return os_failure(errno_ret);
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

static int is_refused(int error_number)
{
	/* EPERM: a sandbox whose list of system calls is older than this one. */
	return error_number == EXDEV || error_number == EINVAL || error_number == ENOSYS || error_number == ENOTSUP ||
	       error_number == EOPNOTSUPP || error_number == EPERM;
}

/*
 * Have the system copy the file from *done_io on; *done_io is how far it came, which is nowhere where it cannot.
 * Beside pread and write through a buffer of 256 KiB (both from the page cache): shares the blocks on Btrfs and XFS, copies
 * on the server on NFS 4.2, takes 0.87 of the time on tmpfs and the same on ext4.
 */
static zc_status copy_by_system(int src_fd, int fd, uint64_t nbytes, uint64_t *done_io, int *errno_ret)
{
#if defined(__linux__) && defined(SYS_copy_file_range)
	while (*done_io < nbytes) {
		int64_t at = (int64_t)*done_io;
		size_t left = nbytes - *done_io < ZC_IO_STEP ? (size_t)(nbytes - *done_io) : ZC_IO_STEP;
		long n = syscall(SYS_copy_file_range, src_fd, &at, fd, NULL, left, 0u);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return is_refused(errno) ? ZC_OK : os_failure(errno_ret);
		if (n == 0)	/* the end of the file, or one of those whose size is not its own */
			return ZC_OK;
		*done_io += (uint64_t)n;
	}
#else
	(void)src_fd, (void)fd, (void)nbytes, (void)done_io, (void)errno_ret;
#endif
	return ZC_OK;
}

static zc_status copy_all(const pending *file, int fd, int *errno_ret)
{
	uint64_t done = 0;
	zc_status status = copy_by_system(file->src_fd, fd, file->nbytes, &done, errno_ret);

	while (done < file->nbytes && status == ZC_OK) {
		uint64_t left = file->nbytes - done;
		size_t n = left < file->buffer_nbytes ? (size_t)left : file->buffer_nbytes;

		status = zc_local_pread(file->src_fd, done, file->buffer, n, errno_ret);
		if (status == ZC_OK)
			status = write_all(fd, file->buffer, n, errno_ret);
		done += n;
	}
	return status;
}

static zc_status stamp(int fd, zc_local_stamp *stamp_ret, int *errno_ret)
{
	uint64_t ns = unique_now_ns();
	struct timespec times[2] = { { .tv_sec = 0, .tv_nsec = UTIME_OMIT } };

	times[1].tv_sec = (time_t)(ns / 1000000000);
	times[1].tv_nsec = (long)(ns % 1000000000);
	if (futimens(fd, times) != 0)
		return os_failure(errno_ret);
	/* Read back: a file system may keep fewer digits than it was given. */
	return stamp_fd(fd, stamp_ret, errno_ret);
}

static zc_status fill(const pending *file, int fd, int *errno_ret)
{
	zc_status status = file->src_fd >= 0 ? copy_all(file, fd, errno_ret)
					     : write_all(fd, file->src, (size_t)file->nbytes, errno_ret);

	if (status == ZC_OK && file->stamp_ret != NULL)
		status = stamp(fd, file->stamp_ret, errno_ret);
	/* Network file systems report a full disk or quota here.  After EINTR the descriptor is closed all the same. */
	if (close(fd) != 0 && errno != EINTR && status == ZC_OK)
		status = os_failure(errno_ret);
	return status;
}

static zc_status publish(const pending *file, int *errno_ret)
{
	if (file->how == PUBLISH_REPLACE)
		return rename(file->temporary, file->path) == 0 ? ZC_OK : os_failure(errno_ret);
	if (link(file->temporary, file->path) != 0)
		return os_failure(errno_ret);
	unlink(file->temporary);
	return ZC_OK;
}

static zc_status put_once(pending *file, int *errno_ret)
{
	int fd = -1;
	zc_status status = open_temporary(file, &fd, errno_ret);

	if (status != ZC_OK)
		return status;
	status = fill(file, fd, errno_ret);
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

zc_status zc_local_replace(const char *path, size_t root_nbytes, const uint8_t *src, size_t nbytes, int *errno_ret)
{
	return zc_local_replace_stamped(path, root_nbytes, src, nbytes, NULL, errno_ret);
}

/* Not an initialiser: that would clear the path's room too. */
static void begin(pending *file, const char *path, size_t root_nbytes, enum publish_how how, zc_local_stamp *stamp_ret)
{
	file->path = path;
	file->root_nbytes = root_nbytes;
	file->src = NULL;
	file->nbytes = 0;
	file->src_fd = -1;
	file->buffer = NULL;
	file->buffer_nbytes = 0;
	file->how = how;
	file->stamp_ret = stamp_ret;
}

zc_status zc_local_replace_stamped(const char *path, size_t root_nbytes, const uint8_t *src, size_t nbytes,
				   zc_local_stamp *stamp_ret, int *errno_ret)
{
	pending file;

	begin(&file, path, root_nbytes, PUBLISH_REPLACE, stamp_ret);
	file.src = src;
	file.nbytes = nbytes;
	return put(&file, errno_ret);
}

zc_status zc_local_create(const char *path, size_t root_nbytes, const uint8_t *src, size_t nbytes,
			  zc_local_stamp *stamp_ret, int *errno_ret)
{
	pending file;

	begin(&file, path, root_nbytes, PUBLISH_CREATE, stamp_ret);
	file.src = src;
	file.nbytes = nbytes;
	return put(&file, errno_ret);
}

zc_status zc_local_copy(int src_fd, uint64_t nbytes, const char *path, size_t root_nbytes, uint8_t *buffer,
			size_t buffer_nbytes, int *errno_ret)
{
	pending file;

	if (buffer_nbytes == 0)
		return ZC_EINVAL;
	begin(&file, path, root_nbytes, PUBLISH_REPLACE, NULL);
	file.src_fd = src_fd;
	file.nbytes = nbytes;
	file.buffer = buffer;
	file.buffer_nbytes = buffer_nbytes;
	return put(&file, errno_ret);
}

zc_status zc_local_remove(const char *path, int *errno_ret)
{
	if (unlink(path) == 0)
		return ZC_OK;
	if (is_absence(errno))
		return ZC_ABSENT;
	/* A directory is no object.  Linux says EISDIR, POSIX and macOS EPERM, which can also mean a protected file. */
	if (errno == EISDIR || errno == EPERM) {
		int failure = errno;
		struct stat info;

		if (lstat(path, &info) == 0 && S_ISDIR(info.st_mode))
			return ZC_ABSENT;
		errno = failure;
	}
	return os_failure(errno_ret);
}
