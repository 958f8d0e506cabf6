#define _GNU_SOURCE	/* syscall under -std=c11 */
#define _DARWIN_C_SOURCE
#include "zc_local_stream.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <sys/vfs.h>
#endif
#include <unistd.h>

#include "zc_local_fault.h"
#include "zc_local_put.h"

/* Pieces are collected up to this, and those of half of it or more go to the file by themselves. */
#define BUFFER_NBYTES ((size_t)256 << 10)
#define LARGE_NBYTES (BUFFER_NBYTES / 2)

/* From here on the system is asked to copy a range, where the file is not on ext4: below it collecting is no slower. */
#define SYSTEM_COPY_NBYTES ((uint64_t)256 << 10)

/*
 * Bytes before 'n_written' are in the file; those from there to 'n_written' + 'n_collected' are in the buffer.  The file may
 * end before either where zeros were skipped, and beyond nothing.
 */
struct zc_local_stream {
	int fd;
	int has_blocks;		/* that may reach past the end */
	int may_copy;		/* by the system */
	int durable;
	uint64_t n_written;
	uint64_t end;		/* of the file as the system has it */
	size_t n_collected;
	uint8_t *buffer;	/* NULL until it is needed */
	pid_t pid;		/* of the process whose file it is: a child that was forked in between has none */
	char temporary[ZC_TEMPORARY_PATH_NBYTES];
	char path[];
};

/*
 * Buffers that streams are done with.  The pages of a new one would have to be made and cleared: that took more than half
 * of the time of rewriting a shard of 3 MiB.
 */
#define N_KEPT 4

static uint8_t *_Atomic kept[N_KEPT];

static uint8_t *take_buffer(void)
{
	for (size_t i = 0; i < N_KEPT; i++) {
		uint8_t *buffer = atomic_exchange(&kept[i], NULL);

		if (buffer != NULL)
			return buffer;
	}
	return malloc(BUFFER_NBYTES);
}

static void give_back_buffer(uint8_t *buffer)
{
	for (size_t i = 0; i < N_KEPT && buffer != NULL; i++) {
		uint8_t *none = NULL;

		if (atomic_compare_exchange_strong(&kept[i], &none, buffer))
			return;
	}
	free(buffer);
}

static int system_copies(int fd)
{
#if defined(__linux__) && defined(SYS_copy_file_range)
	struct statfs where;

	return fstatfs(fd, &where) == 0 && where.f_type != ZC_EXT_MAGIC;
#else
	(void)fd;
	return 0;
#endif
}

zc_status zc_local_stream_open(const char *path, size_t root, zc_local_stream **stream_ret, int *errno_ret)
{
	size_t path_nbytes = strlen(path) + 1;
	zc_local_stream *stream = malloc(sizeof(*stream) + path_nbytes);
	zc_status status;

	if (stream == NULL)
		return ZC_ENOMEM;
	status = zc_local_open_temporary(path, root, stream->temporary, &stream->fd, errno_ret);
	if (status != ZC_OK) {
		free(stream);
		return status;
	}
	stream->pid = getpid();
	stream->has_blocks = 0;
	stream->may_copy = -1;
	stream->durable = (root & ZC_LOCAL_DURABLE) != 0;
	stream->n_written = 0;
	stream->end = 0;
	stream->n_collected = 0;
	stream->buffer = NULL;
	memcpy(stream->path, path, path_nbytes);
	*stream_ret = stream;
	return ZC_OK;
}

void zc_local_stream_expect(zc_local_stream *stream, uint64_t nbytes)
{
	stream->has_blocks |= zc_local_expect(stream->fd, stream->path, nbytes);
}

/* Add bytes to the file, with nothing in the buffer. */
static zc_status write_on(zc_local_stream *stream, const uint8_t *src, size_t nbytes, int *errno_ret)
{
	zc_status status = zc_local_pwrite_all(stream->fd, stream->n_written, src, nbytes, errno_ret);

	stream->n_written += nbytes;
	if (nbytes > 0)
		stream->end = stream->n_written;
	return status;
}

static zc_status flush(zc_local_stream *stream, int *errno_ret)
{
	size_t nbytes = stream->n_collected;

	stream->n_collected = 0;
	return write_on(stream, stream->buffer, nbytes, errno_ret);
}

/* Room for at least a byte more in the buffer. */
static zc_status make_room(zc_local_stream *stream, int *errno_ret)
{
	if (stream->buffer == NULL)
		stream->buffer = take_buffer();
	if (stream->buffer == NULL)
		return ZC_ENOMEM;
	return stream->n_collected < BUFFER_NBYTES ? ZC_OK : flush(stream, errno_ret);
}

zc_status zc_local_stream_put(zc_local_stream *stream, const uint8_t *src, size_t nbytes, int *errno_ret)
{
	zc_status status = ZC_OK;

	if (nbytes >= LARGE_NBYTES) {
		status = flush(stream, errno_ret);
		return status == ZC_OK ? write_on(stream, src, nbytes, errno_ret) : status;
	}
	while (nbytes > 0) {
		size_t n;

		status = make_room(stream, errno_ret);
		if (status != ZC_OK)
			return status;
		n = BUFFER_NBYTES - stream->n_collected < nbytes ? BUFFER_NBYTES - stream->n_collected : nbytes;
		memcpy(stream->buffer + stream->n_collected, src, n);
		stream->n_collected += n;
		src += n;
		nbytes -= n;
	}
	return ZC_OK;
}

zc_status zc_local_stream_skip(zc_local_stream *stream, uint64_t nbytes, int *errno_ret)
{
	zc_status status = flush(stream, errno_ret);

	if (status != ZC_OK)
		return status;
	if (nbytes > INT64_MAX - stream->n_written) {
		*errno_ret = EFBIG;
		return ZC_EOS;
	}
	stream->n_written += nbytes;
	return ZC_OK;
}

zc_status zc_local_stream_put_at(zc_local_stream *stream, uint64_t offset, const uint8_t *src, size_t nbytes,
				 int *errno_ret)
{
	uint64_t all = zc_local_stream_nbytes(stream);
	zc_status status;

	if (offset > all || nbytes > all - offset)
		return ZC_EINVAL;
	if (nbytes == 0)
		return ZC_OK;
	status = offset + nbytes > stream->n_written ? flush(stream, errno_ret) : ZC_OK;
	if (status != ZC_OK)
		return status;
	if (offset + nbytes > stream->end)
		stream->end = offset + nbytes;
	return zc_local_pwrite_all(stream->fd, offset, src, nbytes, errno_ret);
}

/* Have the system copy a range, as far as it does; *done_ret is how far that was.  With nothing in the buffer. */
static zc_status copy_by_system(zc_local_stream *stream, int src_fd, uint64_t offset, uint64_t nbytes, uint64_t *done_ret,
				int *errno_ret)
{
	*done_ret = 0;
#if defined(__linux__) && defined(SYS_copy_file_range)
	while (*done_ret < nbytes) {
		int64_t from = (int64_t)(offset + *done_ret);
		int64_t to = (int64_t)stream->n_written;
		size_t left = nbytes - *done_ret < ZC_IO_STEP ? (size_t)(nbytes - *done_ret) : ZC_IO_STEP;
		long n;

		ZC_FAULT_POINT();
		n = syscall(SYS_copy_file_range, src_fd, &from, stream->fd, &to, left, 0u);
		ZC_FAULT_POINT();
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && !zc_local_copy_is_refused(errno))
			return zc_local_os_failure(errno_ret);
		if (n < 0)
			stream->may_copy = 0;
		if (n <= 0)
			return ZC_OK;
		*done_ret += (uint64_t)n;
		stream->n_written += (uint64_t)n;
		stream->end = stream->n_written;
	}
#else
	(void)stream, (void)src_fd, (void)offset, (void)nbytes, (void)errno_ret;
#endif
	return ZC_OK;
}

static zc_status copy_large(zc_local_stream *stream, int src_fd, uint64_t offset, uint64_t nbytes, uint64_t *done_ret,
			    int *errno_ret)
{
	zc_status status;

	*done_ret = 0;
	if (nbytes < SYSTEM_COPY_NBYTES)
		return ZC_OK;
	if (stream->may_copy < 0)
		stream->may_copy = system_copies(stream->fd);
	if (!stream->may_copy)
		return ZC_OK;
	status = flush(stream, errno_ret);
	return status == ZC_OK ? copy_by_system(stream, src_fd, offset, nbytes, done_ret, errno_ret) : status;
}

zc_status zc_local_stream_copy(zc_local_stream *stream, int src_fd, uint64_t offset, uint64_t nbytes, int *errno_ret)
{
	uint64_t done;
	zc_status status;

	/* By subtraction: offset + nbytes can wrap around 2^64. */
	if (offset > INT64_MAX || nbytes > INT64_MAX - offset)
		return ZC_ETRUNCATED;
	status = copy_large(stream, src_fd, offset, nbytes, &done, errno_ret);
	while (done < nbytes && status == ZC_OK) {
		size_t n;

		status = make_room(stream, errno_ret);
		if (status != ZC_OK)
			return status;
		n = BUFFER_NBYTES - stream->n_collected;
		if (nbytes - done < n)
			n = (size_t)(nbytes - done);
		status = zc_local_pread(src_fd, offset + done, stream->buffer + stream->n_collected, n, errno_ret);
		stream->n_collected += n;
		done += n;
	}
	return status;
}

uint64_t zc_local_stream_nbytes(const zc_local_stream *stream)
{
	return stream->n_written + stream->n_collected;
}

/* The file's length and blocks, where they are not what was written. */
static zc_status settle_length(const zc_local_stream *stream, int *errno_ret)
{
	int failed;

	if (stream->end == stream->n_written && !stream->has_blocks)
		return ZC_OK;
	ZC_FAULT_POINT();
	do
		failed = ftruncate(stream->fd, (off_t)stream->n_written) != 0;
	while (failed && errno == EINTR);
	ZC_FAULT_POINT();
	return failed ? zc_local_os_failure(errno_ret) : ZC_OK;
}

zc_status zc_local_stream_commit(zc_local_stream *stream, int *errno_ret)
{
	zc_status status = stream->pid == getpid() ? flush(stream, errno_ret) : ZC_ECANCELLED;

	if (status == ZC_OK)
		status = settle_length(stream, errno_ret);
	if (status == ZC_OK && stream->durable)
		status = zc_local_flush_fd(stream->fd, errno_ret);
	if (status == ZC_OK) {
		status = zc_local_close_written(stream->fd, errno_ret);
		stream->fd = -1;
	}
	if (status == ZC_OK)
		status = zc_local_rename(stream->temporary, stream->path, errno_ret);
	if (status == ZC_OK)
		stream->temporary[0] = '\0';
	if (status == ZC_OK && stream->durable)
		status = zc_local_flush_parent(stream->path, errno_ret);
	zc_local_stream_drop(stream);
	return status;
}

void zc_local_stream_drop(zc_local_stream *stream)
{
	if (stream == NULL)
		return;
	if (stream->fd >= 0)
		close(stream->fd);
	if (stream->temporary[0] != '\0' && stream->pid == getpid()) {
		ZC_FAULT_POINT();
		(void)unlink(stream->temporary);
		ZC_FAULT_POINT();
	}
	give_back_buffer(stream->buffer);
	free(stream);
}
