/*
 * zc_local_chunks.h - which chunks of an array are stored as files, by reading directories instead of trying every name:
 * what is not there costs nothing, however large the grid.
 */
#ifndef ZC_LOCAL_CHUNKS_H
#define ZC_LOCAL_CHUNKS_H

#include "zc.h"

#define ZC_LOCAL_MAX_NDIM 32

/* How chunks are named, and how many there are along each axis. */
typedef struct zc_chunk_names {
	int ndim;		/* 1 to ZC_LOCAL_MAX_NDIM */
	char separator;		/* '/' or '.' */
	int has_c;		/* whether the name starts with 'c' and a separator */
	const int64_t *n_chunks;
} zc_chunk_names;

/* 'n' times 'ndim' indices.  Start with zeros; the caller frees 'indices', after an error too. */
typedef struct zc_chunk_list {
	int64_t *indices;
	size_t n;
	size_t capacity;	/* of 'indices', in chunks */
} zc_chunk_list;

/*
 * Append to *list the chunks that have a file in or below the directory 'node', in no order.  Names that no chunk of the
 * grid has, and directories in the place of files, are passed over; a directory that is not there is empty.
 * A file that is there during the whole call is listed; one that comes or goes meanwhile may be.
 */
zc_status zc_local_list_chunks(const char *node, const zc_chunk_names *names, zc_chunk_list *list, int *errno_ret);

#endif
