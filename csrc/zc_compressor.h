/* zc_compressor.h - what the compressors' adapters share: how they fail, byte order, the worker's context slots. */
#ifndef ZC_COMPRESSOR_H
#define ZC_COMPRESSOR_H

#include <string.h>

#include "zc.h"

/* Some libraries compute with the pointer of an empty buffer, which may be NULL here. */
static const uint8_t zc_empty_src[1] = {0};

static inline const uint8_t *zc_src_or_empty(const uint8_t *src)
{
	return src != NULL ? src : zc_empty_src;
}

/* 'status', with the static text 'detail' left for whoever reports it. */
static inline zc_status zc_fail(zc_worker *worker, zc_status status, const char *detail)
{
	worker->detail = detail;
	return status;
}

static inline uint32_t zc_load_le32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static inline void zc_store_le32(uint8_t *bytes, uint32_t value)
{
	bytes[0] = (uint8_t)value;
	bytes[1] = (uint8_t)(value >> 8);
	bytes[2] = (uint8_t)(value >> 16);
	bytes[3] = (uint8_t)(value >> 24);
}

/* Free the worker's context 'id', if it has one. */
static inline void zc_context_drop(zc_worker *worker, enum zc_context_id id)
{
	if (worker->context[id] != NULL)
		worker->context_free[id](worker->context[id]);
	worker->context[id] = NULL;
}

/* Give 'context' (may be NULL) to the worker, in the place of what slot 'id' held; returns it. */
static inline void *zc_context_keep(zc_worker *worker, enum zc_context_id id, void *context, int tag,
				    void (*context_free)(void *context))
{
	zc_context_drop(worker, id);
	worker->context[id] = context;
	worker->context_tag[id] = tag;
	worker->context_free[id] = context_free;
	return context;
}

#endif
