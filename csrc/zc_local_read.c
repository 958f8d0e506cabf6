#define _GNU_SOURCE	/* O_CLOEXEC, preadv under -std=c11 */
#define _DARWIN_C_SOURCE
#include "zc_local_put.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

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
	if (zc_local_is_absence(errno))
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
	status = fstat(fd, info_ret) == 0 ? check_regular(info_ret, errno_ret) : zc_local_os_failure(errno_ret);
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

zc_status zc_local_stamp_fd(int fd, zc_local_stamp *stamp_ret, int *errno_ret)
{
	struct stat info;

	if (fstat(fd, &info) != 0)
		return zc_local_os_failure(errno_ret);
	stamp_of(&info, stamp_ret);
	return ZC_OK;
}

zc_status zc_local_stamp_path(const char *path, zc_local_stamp *stamp_ret, int *errno_ret)
{
	struct stat info;
	zc_status status;

	if (stat(path, &info) != 0)
		return zc_local_is_absence(errno) ? ZC_ABSENT : zc_local_os_failure(errno_ret);
	status = check_regular(&info, errno_ret);
	if (status == ZC_OK)
		stamp_of(&info, stamp_ret);
	return status;
}

static void identity_of(const struct stat *info, uint64_t *identity_ret)
{
#ifdef __APPLE__
	const struct timespec *changed = &info->st_ctimespec;
#else
	const struct timespec *changed = &info->st_ctim;
#endif

	identity_ret[ZC_IDENTITY_DEVICE] = (uint64_t)info->st_dev;
	identity_ret[ZC_IDENTITY_INODE] = (uint64_t)info->st_ino;
	identity_ret[ZC_IDENTITY_NBYTES] = (uint64_t)info->st_size;
	identity_ret[ZC_IDENTITY_CTIME] = (uint64_t)changed->tv_sec * 1000000000 + (uint64_t)changed->tv_nsec;
}

zc_status zc_local_open_identified(const char *path, int *fd_ret, uint64_t identity_ret[ZC_LOCAL_IDENTITY_WORDS],
				   int *errno_ret)
{
	struct stat info;
	zc_status status = open_regular(path, fd_ret, &info, errno_ret);

	if (status == ZC_OK)
		identity_of(&info, identity_ret);
	return status;
}

zc_status zc_local_identify_path(const char *path, uint64_t identity_ret[ZC_LOCAL_IDENTITY_WORDS], int *errno_ret)
{
	struct stat info;
	zc_status status;

	if (stat(path, &info) != 0)
		return open_failure(errno_ret);
	status = check_regular(&info, errno_ret);
	if (status == ZC_OK)
		identity_of(&info, identity_ret);
	return status;
}

zc_status zc_local_identify_fd(int fd, uint64_t identity_ret[ZC_LOCAL_IDENTITY_WORDS], int *errno_ret)
{
	struct stat info;

	if (fstat(fd, &info) != 0)
		return zc_local_os_failure(errno_ret);
	identity_of(&info, identity_ret);
	return ZC_OK;
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
			return zc_local_os_failure(errno_ret);
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
		return zc_local_os_failure(errno_ret);
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

int zc_local_duplicate(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

void zc_local_close(int fd)
{
	close(fd);
}
