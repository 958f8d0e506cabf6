/*
 * zc_local_append.h - bytes appended to a shard, so that it is as before or as after whatever happens in between.
 *
 * Other writers must be kept out by the caller, who holds the object's lock.  Before the shard is touched, an undo record
 * is written beside it ('.zc-undo-' and its name); its removal is the commit.  A record that is there and valid means that
 * nobody finished: the next writer takes back what was done (zc_local_repair), before it does anything else to the shard,
 * also before it replaces or deletes it.
 *
 * Readers take no lock.  What they see is one version of the shard if they: open it and ask for its size; see that there
 * is no record (zc_local_undo_exists); read the index; see once more that there is no record; and find the size unchanged.
 * Every append makes the file longer, so that one that came and went between the two looks is seen by the size.  If there is
 * a record, they read it: if it is valid and of this file, the shard is that of the record; if it is not, it is the file as
 * it is, unless something changed meanwhile.  Inner chunks are never written over.
 * A record can be of a longer file than they found, when one append was finished and another begun since: the file has that
 * size by now.  An index at the start can be written over and put back between the two looks, by one writer that is killed
 * and the next that repairs; then the time of the last change is another.
 */
#ifndef ZC_LOCAL_APPEND_H
#define ZC_LOCAL_APPEND_H

#include "zc_local.h"

typedef struct zc_local_bytes {
	const uint8_t *data;
	size_t nbytes;
} zc_local_bytes;

typedef struct zc_local_append_spec {
	uint64_t identity[ZC_LOCAL_IDENTITY_WORDS];	/* of the shard as the caller read it */
	const zc_local_bytes *data;			/* 'n_data' pieces, written from the old end on */
	size_t n_data;
	const uint8_t *index;				/* the new one: after the data, or at the file's start */
	size_t index_nbytes;
	int index_at_start;
	const uint8_t *old_index;			/* as many bytes, if index_at_start; else not looked at */
	int durable;					/* flushed to the disk: the record, then the shard, then the commit */
} zc_local_append_spec;

/*
 * Append.  *identity_ret is the shard's afterwards.
 * ZC_ABSENT if it is not there; ZC_ECANCELLED if it is not what the caller read, or a record is there: the caller repairs,
 * reads and begins again.  ZC_EINVAL if the lengths make no sense.  After any failure the shard is as before; where even
 * that failed, the record stays for the next writer.
 */
zc_status zc_local_append(const char *path, const zc_local_append_spec *what,
			  uint64_t identity_ret[ZC_LOCAL_IDENTITY_WORDS], int *errno_ret);

enum zc_local_undo_state {
	ZC_UNDO_NONE,		/* no record */
	ZC_UNDO_INVALID,	/* nothing was appended yet */
	ZC_UNDO_OTHER,		/* of another file, which had this name before */
	ZC_UNDO_VALID
};

/* The shard as of a record: its first 'nbytes' bytes, but for the index where that is at the start. */
typedef struct zc_local_undo {
	int state;		/* zc_local_undo_state; the rest is set if it is ZC_UNDO_VALID */
	int index_at_start;
	int durable;
	uint64_t nbytes;
	uint8_t *index;		/* the old one if index_at_start, else NULL: it is in its place, before byte 'nbytes' */
	size_t index_nbytes;
} zc_local_undo;

/* Whether there is a record, of whatever state. */
int zc_local_undo_exists(const char *path);

/*
 * The record beside 'path', for the file of that device and inode.  One with an index of more than 'max_index_nbytes' bytes
 * is invalid.  The caller gives *undo_ret to zc_local_undo_free, if this is ZC_OK.
 */
zc_status zc_local_undo_read(const char *path, uint64_t device, uint64_t inode, size_t max_index_nbytes,
			     zc_local_undo *undo_ret, int *errno_ret);
void zc_local_undo_free(zc_local_undo *undo);

/*
 * Take back what a writer did not finish, and remove its record: ZC_OK if there was one, else ZC_ABSENT.  On failure the
 * record stays.
 */
zc_status zc_local_repair(const char *path, size_t max_index_nbytes, int *errno_ret);

#endif
