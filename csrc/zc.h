/*
 * zc.h - what every file of csrc shares: status codes, the worker that carries scratch memory and
 * compressor contexts from call to call, and the signature of a codec kernel.
 *
 * Nothing here knows Python.  Each csrc file is linked into exactly one extension module, so what
 * several modules need without linking is 'static inline' below.
 */
#ifndef ZC_H
#define ZC_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the checksums and filters load words as little-endian machines do"
#endif

typedef enum zc_status {
	ZC_OK = 0,
	ZC_ABSENT,	/* no such object; an answer, not an error */
	ZC_ENOMEM,	/* malloc failed */
	ZC_EINVAL,	/* an argument or configuration is out of range */
	ZC_ECORRUPT,	/* the stream breaks the rules of its format */
	ZC_ETRUNCATED,	/* the input ends before the stream does */
	ZC_ECHECKSUM,	/* a stored checksum differs from the computed one */
	ZC_ETOOLARGE,	/* decodes to more than the chunk's shape allows */
	ZC_ELENGTH,	/* has, or decodes to, another length than the chunk's shape needs */
	ZC_EUNSUPPORTED,/* legal in the format, but not something we can decode */
	ZC_ELIMIT,	/* the input is larger than the codec's format can hold */
	ZC_EOS,		/* a system call failed: worker->error_number is its errno */
	ZC_EPYTHON,	/* a step written in Python raised; the exception is kept by the engine */
	ZC_ECANCELLED,	/* another part failed or the caller was interrupted */
	ZC_N_STATUS
} zc_status;

/* Scratch buffers of a worker.  A kernel may use ZC_SCRATCH_CODEC* only; the others belong to the engine. */
enum zc_scratch_id {
	ZC_SCRATCH_ENCODED,	/* an object's bytes as stored */
	ZC_SCRATCH_PING,	/* between two steps of a chain */
	ZC_SCRATCH_PONG,
	ZC_SCRATCH_CHUNK,	/* a decoded chunk */
	ZC_SCRATCH_CODEC0,
	ZC_SCRATCH_CODEC1,
	ZC_SCRATCH_CODEC2,
	ZC_N_SCRATCH
};

/* Compressor contexts that a worker keeps between calls; each made on first use by its adapter. */
enum zc_context_id {
	ZC_CONTEXT_ZSTD_COMPRESS,
	ZC_CONTEXT_ZSTD_DECOMPRESS,
	ZC_CONTEXT_DEFLATE_COMPRESS,
	ZC_CONTEXT_DEFLATE_DECOMPRESS,
	ZC_CONTEXT_LZ4,
	ZC_CONTEXT_LZ4HC,
	ZC_CONTEXT_BLOSC,
	ZC_N_CONTEXTS
};

typedef struct zc_scratch {
	uint8_t *data;
	size_t capacity;
} zc_scratch;

/* One thread's working memory.  Leased (zc_worker.h) for the length of a call; never shared at the same time. */
typedef struct zc_worker {
	struct zc_worker *next;		/* in the list of idle workers */
	zc_scratch scratch[ZC_N_SCRATCH];
	void *context[ZC_N_CONTEXTS];
	int context_tag[ZC_N_CONTEXTS];	/* free for the adapter, e.g. the level the context was made for */
	void (*context_free[ZC_N_CONTEXTS])(void *context);
	int error_number;		/* errno of the call that gave ZC_EOS */
	const char *detail;		/* static text that says more about the last failure, or NULL */
	const void *stopped;		/* an atomic bool of the pool: what waits is to give up.  NULL outside the pool */
} zc_worker;

/*
 * Scratch from this size on is a mapping of its own, so that it is the system's again when it is freed, and on huge pages
 * where the system has them: 32 MB of fresh memory cost 5 ms in pages of 4 KiB, 2 in huge ones, and decoding into it
 * walks fewer page tables.
 */
#define ZC_LARGE_SCRATCH_NBYTES ((size_t)4 << 20)
#define ZC_HUGE_PAGE_NBYTES ((size_t)2 << 20)

/*
 * The largest page that a machine may have (ARM and POWER: 64 KiB; Apple's: 16).  Mappings are made, and cut, in units of
 * it: munmap refuses an address inside a page, and madvise takes the whole page or refuses too.
 */
#define ZC_PAGE_NBYTES ((size_t)65536)

static inline size_t zc_whole_pages(size_t nbytes)
{
	return (nbytes + ZC_PAGE_NBYTES - 1) & ~(ZC_PAGE_NBYTES - 1);
}

#if defined(__linux__)
/* 'nbytes' bytes, a multiple of ZC_PAGE_NBYTES, that begin where a huge page can; NULL when memory is short. */
static inline uint8_t *zc_map_large(size_t nbytes)
{
	size_t room = nbytes + ZC_HUGE_PAGE_NBYTES, before;
	void *mapped = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *data;

	if (mapped == MAP_FAILED)
		return NULL;
	before = (size_t)(-(uintptr_t)mapped & (ZC_HUGE_PAGE_NBYTES - 1));
	data = (uint8_t *)mapped + before;
	if (before > 0)
		(void)munmap(mapped, before);
	(void)munmap(data + nbytes, room - before - nbytes);
	/* Whole huge pages only: what follows them must not make the buffer larger than it is. */
	(void)madvise(data, nbytes & ~(ZC_HUGE_PAGE_NBYTES - 1), MADV_HUGEPAGE);
	return data;
}
#endif

static inline void zc_scratch_free(zc_scratch *scratch)
{
#if defined(__linux__)
	if (scratch->capacity >= ZC_LARGE_SCRATCH_NBYTES)
		(void)munmap(scratch->data, scratch->capacity);
	else
#endif
		free(scratch->data);
	scratch->data = NULL;
	scratch->capacity = 0;
}

/* Make 'scratch', which is free, at least 'nbytes' bytes large; it stays free when memory is short. */
static inline void zc_scratch_make(zc_scratch *scratch, size_t nbytes)
{
	size_t capacity = nbytes > 0 ? (nbytes + 4095) & ~(size_t)4095 : 4096;
	void *data = NULL;

#if defined(__linux__)
	if (capacity >= ZC_LARGE_SCRATCH_NBYTES) {
		capacity = zc_whole_pages(capacity);
		data = zc_map_large(capacity);
	} else
#endif
	if (posix_memalign(&data, 64, capacity) != 0)
		data = NULL;
	scratch->data = (uint8_t *)data;
	scratch->capacity = data != NULL ? capacity : 0;
}

/*
 * The 'nbytes' (or more) bytes of scratch buffer 'id', 64-byte aligned, contents undefined.
 * Owned by the worker and valid until the next call for the same id.  NULL when memory is short.
 */
static inline uint8_t *zc_worker_scratch(zc_worker *worker, enum zc_scratch_id id, size_t nbytes)
{
	zc_scratch *scratch = &worker->scratch[id];

	if (nbytes <= scratch->capacity && scratch->data != NULL)
		return scratch->data;
	if (nbytes > SIZE_MAX / 2)
		return NULL;
	/* The old buffer goes first, as its contents are nobody's and both at once would be too much. */
	zc_scratch_free(scratch);
	zc_scratch_make(scratch, nbytes);
	return scratch->data;
}

/*
 * One direction of a codec: read 'src', write at most 'dst_capacity' bytes to 'dst', set *dst_nbytes.
 * 'config' is the codec's own struct, borrowed and constant.  src and dst do not overlap; either may be
 * NULL where its length is 0.  When decoding, dst_capacity is the exact decoded size where the chain knows it,
 * else a limit: a stream that would give more is ZC_ETOOLARGE, and nothing is written past the capacity.
 * On failure *dst_nbytes is unspecified and worker->detail may say more.
 */
typedef zc_status (*zc_run)(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
			    uint8_t *dst, size_t dst_capacity, size_t *dst_nbytes);

/*
 * Part of decoding: *data_ret is where byte 'first' of the decoded bytes is, of which there are 'nbytes'; bytes
 * [first, end) are valid (0 <= first <= end <= nbytes, checked by the caller).  They are inside 'src' or in
 * ZC_SCRATCH_CODEC2.  Decodes no more than it has to, but all of what a checksum in the stream covers; the lengths that
 * the stream names are checked in any case (ZC_ELENGTH if they are not 'nbytes').
 */
typedef zc_status (*zc_range)(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
			      size_t nbytes, size_t first, size_t end, const uint8_t **data_ret);

/* The most bytes that encoding 'nbytes' bytes can give; ZC_ELIMIT if the format cannot hold so many. */
typedef zc_status (*zc_bound)(const void *config, size_t nbytes, size_t *bound_ret);

#endif
