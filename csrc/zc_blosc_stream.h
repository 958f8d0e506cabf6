/* zc_blosc_stream.h - one stream of a Blosc block: the compressors behind one door. */
#ifndef ZC_BLOSC_STREAM_H
#define ZC_BLOSC_STREAM_H

#include "zc_blosc.h"

/*
 * Compress with what 'config' names, at its clevel (1 to 9, scaled to the compressor's own as c-blosc 1 does).
 * ZC_ETOOLARGE if the stream does not fit into dst_capacity, or the compressor gave up.
 */
zc_status zc_blosc_stream_encode(const struct zc_blosc_config *config, zc_worker *worker, const uint8_t *src,
				 size_t src_nbytes, uint8_t *dst, size_t dst_capacity, size_t *dst_nbytes);

/* Decompress a stream that has to give exactly 'nbytes' bytes. */
zc_status zc_blosc_stream_decode(enum zc_blosc_format format, zc_worker *worker, const uint8_t *src,
				 size_t src_nbytes, uint8_t *dst, size_t nbytes);

#endif
