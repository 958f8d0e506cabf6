#define _GNU_SOURCE	/* pwritev, fdatasync under -std=c11 */
#define _DARWIN_C_SOURCE
#include "zc_local_append.h"
#include "zc_mix.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "zc_local_fault.h"
#include "zc_local_put.h"

#define PREFIX ".zc-undo-"
#define PREFIX_NBYTES (sizeof(PREFIX) - 1)

/* The record: this, the old index if that is at the start, and two words of checksum over both. */
typedef struct header {
	char magic[8];		/* the last byte is the version */
	uint64_t flags;
	uint64_t device;
	uint64_t inode;
	uint64_t birth;		/* of the inode, in ns; 0 if the file system does not tell */
	uint64_t nbytes;	/* of the shard before */
	uint64_t index_nbytes;	/* in this record */
} header;

#define MAGIC "zc-undo\1"

enum { FLAG_INDEX_AT_START = 1, FLAG_DURABLE = 2, KNOWN_FLAGS = 3 };

typedef struct checksum {
	uint64_t words[2];
} checksum;

/* Names. */

typedef struct record_path {
	char text[PATH_MAX + PREFIX_NBYTES + 1];
} record_path;

static zc_status name_record(const char *path, record_path *name_ret, int *errno_ret)
{
	const char *slash = strrchr(path, '/');
	size_t dir_nbytes = slash == NULL ? 0 : (size_t)(slash - path) + 1;
	size_t rest_nbytes = strlen(path + dir_nbytes) + 1;

	if (dir_nbytes + rest_nbytes > PATH_MAX) {
		*errno_ret = ENAMETOOLONG;
		return ZC_EOS;
	}
	memcpy(name_ret->text, path, dir_nbytes);
	memcpy(name_ret->text + dir_nbytes, PREFIX, PREFIX_NBYTES);
	memcpy(name_ret->text + dir_nbytes + PREFIX_NBYTES, path + dir_nbytes, rest_nbytes);
	return ZC_OK;
}

/*
 * The checksum is against records that were begun and not finished.  Not CRC-32C, which is linked into another module;
 * multiply and fold, 16 bytes a step, as the memory stores' table hashes its keys, is as fast.
 */

static checksum add_bytes(checksum sum, const uint8_t *data, size_t nbytes)
{
	sum.words[0] ^= nbytes;
	for (size_t at = 0; at < nbytes; at += 16) {
		uint64_t low = zc_mix_load(data + at, nbytes - at);
		uint64_t high = nbytes - at > 8 ? zc_mix_load(data + at + 8, nbytes - at - 8) : 0;

		sum.words[0] = zc_mix_fold(low ^ ZC_MIX_A ^ sum.words[0], high ^ ZC_MIX_B);
		sum.words[1] = zc_mix_fold(low ^ ZC_MIX_C, high ^ ZC_MIX_D ^ sum.words[1]);
	}
	return sum;
}

static checksum sum_of(const header *head, const uint8_t *index)
{
	checksum sum = { { ZC_MIX_C, ZC_MIX_D } };

	sum = add_bytes(sum, (const uint8_t *)head, sizeof(*head));
	return add_bytes(sum, index, (size_t)head->index_nbytes);
}

/* System calls. */

/* Whether no record can be there: also because its name, which is longer than the shard's, is too long for any file. */
static int is_absent(const record_path *name)
{
	return access(name->text, F_OK) != 0 && (zc_local_is_absence(errno) || errno == ENAMETOOLONG);
}

/*
 * When the inode was made.  A shard that somebody removed who knows nothing of records can leave its inode to another file:
 * ext4 gives it to the next one.  To undo what was never appended to that would destroy it.
 */
static uint64_t birth_of(const char *path, uint64_t inode)
{
#if defined(__linux__) && defined(STATX_BTIME)
	const unsigned int wanted = STATX_BTIME | STATX_INO;
	struct statx info;

	if (statx(AT_FDCWD, path, 0, wanted, &info) != 0 || (info.stx_mask & wanted) != wanted || info.stx_ino != inode)
		return 0;
	return (uint64_t)info.stx_btime.tv_sec * 1000000000 + info.stx_btime.tv_nsec;
#elif defined(__APPLE__)
	struct stat info;

	if (stat(path, &info) != 0 || (uint64_t)info.st_ino != inode)
		return 0;
	return (uint64_t)info.st_birthtimespec.tv_sec * 1000000000 + (uint64_t)info.st_birthtimespec.tv_nsec;
#else
	(void)path, (void)inode;
	return 0;
#endif
}

static zc_status truncate_fd(int fd, uint64_t nbytes, int *errno_ret)
{
	int failed;

	ZC_FAULT_POINT();
	do
		failed = ftruncate(fd, (off_t)nbytes) != 0;
	while (failed && errno == EINTR);
	ZC_FAULT_POINT();
	return failed ? zc_local_os_failure(errno_ret) : ZC_OK;
}

/* Remove the record; that it is not there is fine: its whole directory may be gone. */
static zc_status remove_record(const record_path *name, int *errno_ret)
{
	int failed;

	ZC_FAULT_POINT();
	failed = unlink(name->text) != 0 && !zc_local_is_absence(errno);
	if (failed)
		*errno_ret = errno;
	ZC_FAULT_POINT();
	return failed ? ZC_EOS : ZC_OK;
}

/* The shard, for changing it, and its identity. */
static zc_status open_shard(const char *path, int *fd_ret, uint64_t *identity_ret, int *errno_ret)
{
	zc_status status;
	struct stat info;
	int fd;

	do
		fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return zc_local_is_absence(errno) ? ZC_ABSENT : zc_local_os_failure(errno_ret);
	status = fstat(fd, &info) == 0 ? ZC_OK : zc_local_os_failure(errno_ret);
	if (status == ZC_OK && !S_ISREG(info.st_mode)) {
		*errno_ret = ZC_LOCAL_NOT_REGULAR;
		status = ZC_EOS;
	}
	if (status == ZC_OK)
		status = zc_local_identify_fd(fd, identity_ret, errno_ret);
	if (status != ZC_OK)
		close(fd);
	else
		*fd_ret = fd;
	return status;
}

/* Writing. */

static zc_status fill_record(int fd, const char *path, const zc_local_append_spec *what, int *errno_ret)
{
	header head = { .magic = MAGIC };
	checksum sum;
	zc_status status;

	head.flags = (what->index_at_start ? FLAG_INDEX_AT_START : 0u) | (what->durable ? FLAG_DURABLE : 0u);
	head.device = what->identity[ZC_IDENTITY_DEVICE];
	head.inode = what->identity[ZC_IDENTITY_INODE];
	head.birth = birth_of(path, head.inode);
	head.nbytes = what->identity[ZC_IDENTITY_NBYTES];
	head.index_nbytes = what->index_at_start ? what->index_nbytes : 0;
	sum = sum_of(&head, what->old_index);
	if (head.index_nbytes == 0) {
		/* All of it in one call: it is short. */
		uint8_t record[sizeof(head) + sizeof(sum)];

		memcpy(record, &head, sizeof(head));
		memcpy(record + sizeof(head), &sum, sizeof(sum));
		return zc_local_write_all(fd, record, sizeof(record), errno_ret);
	}
	status = zc_local_write_all(fd, (const uint8_t *)&head, sizeof(head), errno_ret);
	if (status == ZC_OK)
		status = zc_local_write_all(fd, what->old_index, what->index_nbytes, errno_ret);
	return status == ZC_OK ? zc_local_write_all(fd, (const uint8_t *)&sum, sizeof(sum), errno_ret) : status;
}

/* Write the record; whatever fails, there is none afterwards. */
static zc_status make_record(const record_path *name, const char *path, const zc_local_append_spec *what, int *errno_ret)
{
	zc_status status, closed;
	int close_errno = 0, fd, ignored;

	ZC_FAULT_POINT();
	do
		fd = open(name->text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return errno == EEXIST ? ZC_ECANCELLED : zc_local_os_failure(errno_ret);
	ZC_FAULT_POINT();
	status = fill_record(fd, path, what, errno_ret);
	if (status == ZC_OK && what->durable)
		status = zc_local_flush_fd(fd, errno_ret);
	closed = zc_local_close_written(fd, &close_errno);
	if (status == ZC_OK && closed != ZC_OK) {
		*errno_ret = close_errno;
		status = closed;
	}
	if (status == ZC_OK && what->durable)
		status = zc_local_flush_parent(path, errno_ret);
	if (status != ZC_OK)
		(void)remove_record(name, &ignored);
	return status;
}

#define PIECES_AT_ONCE ((size_t)64)

/* Write pieces one after the other, with one call where that does it. */
static zc_status write_pieces(int fd, uint64_t at, const zc_local_bytes *pieces, size_t n, int *errno_ret)
{
	zc_status status = ZC_OK;
	uint64_t done = 0;

#ifndef __APPLE__	/* there is no pwritev before macOS 11 */
	struct iovec vectors[PIECES_AT_ONCE];
	size_t total = 0;

	if (n > 1 && n <= PIECES_AT_ONCE) {
		ssize_t put;

		for (size_t i = 0; i < n; i++) {
			/* pwritev only reads; its vectors are those of preadv too. */
			vectors[i].iov_base = (void *)(uintptr_t)pieces[i].data;
			vectors[i].iov_len = pieces[i].nbytes;
			total = pieces[i].nbytes > ZC_IO_STEP - total ? ZC_IO_STEP : total + pieces[i].nbytes;
		}
		if (total < ZC_IO_STEP) {
			ZC_FAULT_POINT();
			do
				put = pwritev(fd, vectors, (int)n, (off_t)at);
			while (put < 0 && errno == EINTR);
			if (put < 0)
				return zc_local_os_failure(errno_ret);
			ZC_FAULT_POINT();
			done = (uint64_t)put;
		}
	}
#endif
	/* What is left, after a signal or where the disk is nearly full. */
	for (size_t i = 0; i < n && status == ZC_OK; i++) {
		size_t skipped = done < pieces[i].nbytes ? (size_t)done : pieces[i].nbytes;

		done -= skipped;
		at += skipped;
		status = zc_local_pwrite_all(fd, at, pieces[i].data + skipped, pieces[i].nbytes - skipped, errno_ret);
		at += pieces[i].nbytes - skipped;
	}
	return status;
}

/* The data, and the index where it belongs. */
static zc_status write_all(int fd, const zc_local_append_spec *what, int *errno_ret)
{
	static const uint8_t zero;
	zc_local_bytes few[PIECES_AT_ONCE];
	uint64_t at = what->identity[ZC_IDENTITY_NBYTES];
	zc_local_bytes last = { what->index, what->index_nbytes };
	uint64_t n_appended = 0;
	zc_status status;

	for (size_t i = 0; i < what->n_data; i++)
		n_appended += what->data[i].nbytes;
	if (what->index_at_start) {
		/* Readers must see that something changed: by the length. */
		last.data = &zero;
		last.nbytes = n_appended == 0;
	}
	if (what->n_data < PIECES_AT_ONCE) {
		if (what->n_data > 0)
			memcpy(few, what->data, what->n_data * sizeof(few[0]));
		few[what->n_data] = last;
		status = write_pieces(fd, at, few, what->n_data + 1, errno_ret);
	} else {
		status = write_pieces(fd, at, what->data, what->n_data, errno_ret);
		if (status == ZC_OK)
			status = zc_local_pwrite_all(fd, at + n_appended, last.data, last.nbytes, errno_ret);
	}
	if (status == ZC_OK && what->index_at_start)
		status = zc_local_pwrite_all(fd, 0, what->index, what->index_nbytes, errno_ret);
	return status;
}

/* Make the open shard again what it was; then the record may go. */
static zc_status restore(int fd, uint64_t nbytes, const uint8_t *index, size_t index_nbytes, int durable, int *errno_ret)
{
	zc_status status = ZC_OK;

	if (index_nbytes > 0)
		status = zc_local_pwrite_all(fd, 0, index, index_nbytes, errno_ret);
	if (status == ZC_OK)
		status = truncate_fd(fd, nbytes, errno_ret);
	return status == ZC_OK && durable ? zc_local_flush_fd(fd, errno_ret) : status;
}

/* With the record written: the append and its commit, or neither. */
static zc_status append_to(int fd, const record_path *name, const zc_local_append_spec *what, uint64_t *identity_ret,
			   int *errno_ret)
{
	zc_status status = write_all(fd, what, errno_ret);
	int ignored;

	if (status == ZC_OK && what->durable)
		status = zc_local_flush_fd(fd, errno_ret);
	if (status == ZC_OK)
		status = zc_local_identify_fd(fd, identity_ret, errno_ret);
	if (status == ZC_OK)
		status = remove_record(name, errno_ret);
	if (status == ZC_OK)
		return what->durable ? zc_local_flush_parent(name->text, errno_ret) : ZC_OK;
	/* If this fails too, the record says to the next writer what to do. */
	if (restore(fd, what->identity[ZC_IDENTITY_NBYTES], what->old_index, what->index_at_start ? what->index_nbytes : 0,
		    what->durable, &ignored) == ZC_OK)
		(void)remove_record(name, &ignored);
	return status;
}

static int makes_sense(const zc_local_append_spec *what)
{
	uint64_t left = INT64_MAX - 1;

	if (what->identity[ZC_IDENTITY_NBYTES] > left)
		return 0;
	left -= what->identity[ZC_IDENTITY_NBYTES];
	for (size_t i = 0; i < what->n_data; i++) {
		if (what->data[i].nbytes > left)
			return 0;
		left -= what->data[i].nbytes;
	}
	/* An index that is not there cannot be restored; one of no bytes at the end would not be seen to be new. */
	if (what->index_nbytes == 0 || what->index_nbytes > left)
		return 0;
	return !what->index_at_start || what->index_nbytes <= what->identity[ZC_IDENTITY_NBYTES];
}

zc_status zc_local_append(const char *path, const zc_local_append_spec *what,
			  uint64_t identity_ret[ZC_LOCAL_IDENTITY_WORDS], int *errno_ret)
{
	uint64_t found[ZC_LOCAL_IDENTITY_WORDS];
	record_path name;
	zc_status status = makes_sense(what) ? name_record(path, &name, errno_ret) : ZC_EINVAL;
	int fd = -1;

	if (status == ZC_OK)
		status = open_shard(path, &fd, found, errno_ret);
	if (status != ZC_OK)
		return status;
	if (memcmp(found, what->identity, sizeof(found)) != 0)
		status = ZC_ECANCELLED;
	if (status == ZC_OK)
		status = make_record(&name, path, what, errno_ret);
	if (status == ZC_OK)
		status = append_to(fd, &name, what, identity_ret, errno_ret);
	close(fd);
	return status;
}

/* Reading. */

int zc_local_undo_exists(const char *path)
{
	record_path name;
	int ignored;

	/* What cannot be looked at may be there: whoever reads it will get the error. */
	return name_record(path, &name, &ignored) == ZC_OK && !is_absent(&name);
}

/* The rest of a record whose header was read; sets the state. */
static zc_status read_index(int fd, const header *head, zc_local_undo *undo, int *errno_ret)
{
	size_t index_nbytes = (size_t)head->index_nbytes;
	uint8_t *index = malloc(index_nbytes > 0 ? index_nbytes : 1);
	checksum stored, sum;
	zc_status status;

	if (index == NULL)
		return ZC_ENOMEM;
	status = zc_local_pread(fd, sizeof(*head), index, index_nbytes, errno_ret);
	if (status == ZC_OK)
		status = zc_local_pread(fd, sizeof(*head) + index_nbytes, (uint8_t *)&stored, sizeof(stored), errno_ret);
	if (status == ZC_OK)
		sum = sum_of(head, index);
	if (status == ZC_OK && memcmp(&sum, &stored, sizeof(sum)) == 0) {
		undo->state = ZC_UNDO_VALID;
		undo->index_at_start = (head->flags & FLAG_INDEX_AT_START) != 0;
		undo->durable = (head->flags & FLAG_DURABLE) != 0;
		undo->nbytes = head->nbytes;
		undo->index_nbytes = index_nbytes;
		if (index_nbytes > 0) {
			undo->index = index;
			index = NULL;
		}
	}
	free(index);
	/* Cut while it was read: as good as not written. */
	return status == ZC_ETRUNCATED ? ZC_OK : status;
}

static int is_plausible(const header *head, uint64_t record_nbytes, size_t max_index_nbytes)
{
	int at_start = (head->flags & FLAG_INDEX_AT_START) != 0;

	return memcmp(head->magic, MAGIC, sizeof(head->magic)) == 0 && (head->flags & ~(uint64_t)KNOWN_FLAGS) == 0 &&
	       head->index_nbytes <= max_index_nbytes && at_start == (head->index_nbytes > 0) &&
	       record_nbytes - sizeof(*head) >= sizeof(checksum) &&
	       record_nbytes - sizeof(*head) - sizeof(checksum) == head->index_nbytes &&
	       head->nbytes <= INT64_MAX && head->index_nbytes <= head->nbytes;
}

/* Whether the record is of that file, which has the name 'path', or had it. */
static int is_of(const header *head, const char *path, uint64_t device, uint64_t inode)
{
	uint64_t birth = head->birth != 0 ? birth_of(path, inode) : 0;

	return head->device == device && head->inode == inode && (birth == 0 || head->birth == birth);
}

static zc_status read_record(int fd, uint64_t record_nbytes, const char *path, uint64_t device, uint64_t inode,
			     size_t max_index_nbytes, zc_local_undo *undo, int *errno_ret)
{
	header head;
	zc_status status;

	if (record_nbytes < sizeof(head))
		return ZC_OK;
	status = zc_local_pread(fd, 0, (uint8_t *)&head, sizeof(head), errno_ret);
	if (status != ZC_OK)
		return status == ZC_ETRUNCATED ? ZC_OK : status;
	if (!is_plausible(&head, record_nbytes, max_index_nbytes))
		return ZC_OK;
	status = read_index(fd, &head, undo, errno_ret);
	if (undo->state == ZC_UNDO_VALID && !is_of(&head, path, device, inode)) {
		zc_local_undo_free(undo);
		undo->state = ZC_UNDO_OTHER;
	}
	return status;
}

static zc_status undo_read(const record_path *name, const char *path, uint64_t device, uint64_t inode,
			   size_t max_index_nbytes, zc_local_undo *undo_ret, int *errno_ret)
{
	uint64_t nbytes;
	zc_status status;
	int fd;

	memset(undo_ret, 0, sizeof(*undo_ret));
	status = zc_local_open(name->text, &fd, &nbytes, errno_ret);
	if (status == ZC_ABSENT)
		return ZC_OK;
	if (status != ZC_OK)
		return status;
	undo_ret->state = ZC_UNDO_INVALID;
	status = read_record(fd, nbytes, path, device, inode, max_index_nbytes, undo_ret, errno_ret);
	zc_local_close(fd);
	return status;
}

zc_status zc_local_undo_read(const char *path, uint64_t device, uint64_t inode, size_t max_index_nbytes,
			     zc_local_undo *undo_ret, int *errno_ret)
{
	record_path name;
	zc_status status = name_record(path, &name, errno_ret);

	if (status != ZC_OK)
		return status;
	return undo_read(&name, path, device, inode, max_index_nbytes, undo_ret, errno_ret);
}

void zc_local_undo_free(zc_local_undo *undo)
{
	free(undo->index);
	undo->index = NULL;
	undo->index_nbytes = 0;
}

/* Repairing. */

static zc_status take_back(int fd, const char *path, const uint64_t *identity, const record_path *name,
			   size_t max_index_nbytes, int *durable_ret, int *errno_ret)
{
	zc_local_undo undo;
	zc_status status = undo_read(name, path, identity[ZC_IDENTITY_DEVICE], identity[ZC_IDENTITY_INODE], max_index_nbytes,
				     &undo, errno_ret);

	if (status != ZC_OK)
		return status;
	/* A shorter file than the record speaks of is nobody's append. */
	if (undo.state == ZC_UNDO_VALID && identity[ZC_IDENTITY_NBYTES] >= undo.nbytes)
		status = restore(fd, undo.nbytes, undo.index, undo.index_nbytes, undo.durable, errno_ret);
	*durable_ret = undo.durable;
	zc_local_undo_free(&undo);
	return status;
}

zc_status zc_local_repair(const char *path, size_t max_index_nbytes, int *errno_ret)
{
	uint64_t identity[ZC_LOCAL_IDENTITY_WORDS];
	record_path name;
	zc_status status = name_record(path, &name, errno_ret);
	int fd = -1, durable = 0;

	if (status != ZC_OK)
		return status;
	if (is_absent(&name))
		return ZC_ABSENT;
	status = open_shard(path, &fd, identity, errno_ret);
	if (status == ZC_OK) {
		status = take_back(fd, path, identity, &name, max_index_nbytes, &durable, errno_ret);
		close(fd);
	} else if (status == ZC_ABSENT) {
		status = ZC_OK;
	}
	if (status == ZC_OK)
		status = remove_record(&name, errno_ret);
	return status == ZC_OK && durable ? zc_local_flush_parent(path, errno_ret) : status;
}
