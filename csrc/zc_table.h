/*
 * zc_table.h - a hash table in memory from keys to immutable, reference-counted blobs.
 *
 * Every function may be called from any thread without other locks, and in a forked child, which has its own copy of
 * every table as it was at the moment of the fork.  Keys are bytes without NUL.
 */
#ifndef ZC_TABLE_H
#define ZC_TABLE_H

#include "zc_blob.h"

typedef struct zc_table zc_table;

/* Keys, each followed by a NUL. */
typedef struct zc_key_list {
	char *bytes;
	size_t nbytes;
	size_t last;		/* where the last key starts */
	size_t capacity;
} zc_key_list;

zc_table *zc_table_new(void);		/* NULL when memory is short */
void zc_table_free(zc_table *table);	/* no other call may be under way; NULL is fine */

/* A new reference to the blob of 'key', or NULL. */
zc_blob *zc_table_get(zc_table *table, const char *key, size_t key_nbytes);

/* The same for n <= ZC_TABLE_BATCH keys, which together take less time where there are many small objects. */
#define ZC_TABLE_BATCH 16

typedef struct zc_table_key {
	const char *data;
	size_t nbytes;
} zc_table_key;

void zc_table_get_many(zc_table *table, const zc_table_key *keys, size_t n, zc_blob **blobs_ret);

/*
 * Make 'blob' the value of 'key'.  Takes over the caller's reference, on failure too, and sets the blob's version.
 * ZC_ENOMEM, or ZC_EINVAL if the key holds a NUL; the table is then as it was.
 */
zc_status zc_table_put(zc_table *table, const char *key, size_t key_nbytes, zc_blob *blob);

/*
 * zc_table_put, but only if the value's version is 'expected' (0: if there is no value).  *done_ret tells; if it was
 * not done the blob is dropped and the status is ZC_OK.  *version_ret is the new version if it was done.
 */
zc_status zc_table_put_if(zc_table *table, const char *key, size_t key_nbytes, zc_blob *blob, uint64_t expected,
			  int *done_ret, uint64_t *version_ret);

/* ZC_ABSENT if the key is not there. */
zc_status zc_table_remove(zc_table *table, const char *key, size_t key_nbytes);

/* Remove every key that starts with 'prefix'. */
void zc_table_remove_prefix(zc_table *table, const char *prefix, size_t prefix_nbytes);

/*
 * Append to *list (start with zeros) the keys that start with 'prefix', in no order.  With 'shallow', each is cut after
 * the first '/' behind the prefix, and neighbours that are then equal are given once, which leaves few repetitions.
 * A key that is there during the whole call is listed; one that comes or goes meanwhile may be.  The caller frees
 * list->bytes, on ZC_ENOMEM too.
 */
zc_status zc_table_list(zc_table *table, const char *prefix, size_t prefix_nbytes, int shallow, zc_key_list *list);

size_t zc_table_count(zc_table *table);

/* A number that no other table of this process has or had. */
uint64_t zc_table_serial(const zc_table *table);

#endif
