#define _GNU_SOURCE	/* fdatasync under -std=c11 */
#define _DARWIN_C_SOURCE
#include "zc_local_put.h"

#include <fcntl.h>
#include <unistd.h>

#include "zc_local_fault.h"
#include "zc_parents.h"

static int flush_content(int fd)
{
#ifdef __APPLE__
	/* fsync leaves it to the drive when. */
	return fcntl(fd, F_FULLFSYNC) == 0 ? 0 : fsync(fd);
#else
	/* With the file's length, without its times. */
	return fdatasync(fd);
#endif
}

zc_status zc_local_flush_fd(int fd, int *errno_ret)
{
	int failure;

	ZC_FAULT_POINT();
	do
		failure = zc_local_fault_flush(0) ? errno : flush_content(fd) == 0 ? 0 : errno;
	while (failure == EINTR);
	ZC_FAULT_POINT();
	if (failure == 0)
		return ZC_OK;
	*errno_ret = failure;
	return ZC_EOS;
}

zc_status zc_local_flush_parent(const char *path, int *errno_ret)
{
	int failure;

	ZC_FAULT_POINT();
	failure = zc_local_fault_flush(1) ? errno : zc_flush_directory(path, zc_parent_nbytes(path, strlen(path)));
	ZC_FAULT_POINT();
	if (failure == 0)
		return ZC_OK;
	*errno_ret = failure;
	return ZC_EOS;
}
