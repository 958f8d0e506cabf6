#include "zc_deflate.h"

#include <libdeflate.h>

#include "zc_compressor.h"

#define DEFAULT_LEVEL 6

#define GZIP_FIXED_NBYTES 10	/* magic, method, flags, time, extra flags, system */
#define GZIP_TRAILER_NBYTES 8	/* crc32 and length, little-endian */
#define GZIP_HEADER_CRC 0x02
#define GZIP_EXTRA 0x04
#define GZIP_NAME 0x08
#define GZIP_COMMENT 0x10
#define GZIP_RESERVED 0xe0

#define ZLIB_HEADER_NBYTES 2
#define ZLIB_TRAILER_NBYTES 4	/* adler32, big-endian */
#define ZLIB_DICTIONARY 0x20

/* A window on the input that shrinks from the front. */
struct input {
	const uint8_t *data;
	size_t nbytes;
};

/* A window on the output that shrinks from the front. */
struct output {
	uint8_t *data;
	size_t capacity;
};

static void free_compressor(void *context)
{
	libdeflate_free_compressor(context);
}

static void free_decompressor(void *context)
{
	libdeflate_free_decompressor(context);
}

/* libdeflate sets a level when it allocates, so the slot is tagged with it. */
static struct libdeflate_compressor *worker_compressor(zc_worker *worker, int level)
{
	void *context = worker->context[ZC_CONTEXT_DEFLATE_COMPRESS];

	if (context == NULL || worker->context_tag[ZC_CONTEXT_DEFLATE_COMPRESS] != level)
		context = zc_context_keep(worker, ZC_CONTEXT_DEFLATE_COMPRESS, libdeflate_alloc_compressor(level),
					  level, free_compressor);
	return context;
}

static struct libdeflate_decompressor *worker_decompressor(zc_worker *worker)
{
	void *context = worker->context[ZC_CONTEXT_DEFLATE_DECOMPRESS];

	if (context == NULL)
		context = zc_context_keep(worker, ZC_CONTEXT_DEFLATE_DECOMPRESS, libdeflate_alloc_decompressor(), 0,
					  free_decompressor);
	return context;
}

typedef size_t (*compress_function)(struct libdeflate_compressor *compressor, const void *src, size_t src_nbytes,
				    void *dst, size_t dst_capacity);

static zc_status encode(const struct zc_deflate_config *config, zc_worker *worker, compress_function compress,
			const uint8_t *src, size_t src_nbytes, uint8_t *dst, size_t dst_capacity, size_t *dst_nbytes)
{
	int level = config->level == -1 ? DEFAULT_LEVEL : config->level;
	struct libdeflate_compressor *compressor;

	if (level < 0 || level > 9)
		return zc_fail(worker, ZC_EINVAL, "deflate level");
	compressor = worker_compressor(worker, level);
	if (compressor == NULL)
		return ZC_ENOMEM;
	*dst_nbytes = compress(compressor, zc_src_or_empty(src), src_nbytes, dst, dst_capacity);
	return *dst_nbytes == 0 ? ZC_ETOOLARGE : ZC_OK;
}

static void skip_input(struct input *in, size_t nbytes)
{
	in->data += nbytes;
	in->nbytes -= nbytes;
}

/* Inflate one raw stream; 'in' and 'out' move behind it. */
static zc_status inflate_stream(zc_worker *worker, struct input *in, struct output *out)
{
	struct libdeflate_decompressor *decompressor = worker_decompressor(worker);
	size_t in_nbytes, out_nbytes;

	if (decompressor == NULL)
		return ZC_ENOMEM;
	switch (libdeflate_deflate_decompress_ex(decompressor, in->data, in->nbytes, out->data, out->capacity,
						 &in_nbytes, &out_nbytes)) {
	case LIBDEFLATE_SUCCESS:
		skip_input(in, in_nbytes);
		out->data += out_nbytes;
		out->capacity -= out_nbytes;
		return ZC_OK;
	case LIBDEFLATE_INSUFFICIENT_SPACE:
		return zc_fail(worker, ZC_ETOOLARGE, NULL);
	default:
		/* libdeflate reads zeros past the end of its input, so it cannot tell which of the two it was. */
		return zc_fail(worker, ZC_ECORRUPT, "the deflate stream is damaged or cut");
	}
}

/* After the last stream there may be zeros (tapes and some file systems pad), nothing else. */
static zc_status check_padding(zc_worker *worker, const struct input *in)
{
	for (size_t i = 0; i < in->nbytes; i++)
		if (in->data[i] != 0)
			return zc_fail(worker, ZC_ECORRUPT, "something else follows the deflate stream");
	return ZC_OK;
}

/* Move 'in' behind a text that ends with a zero byte. */
static int skip_text(struct input *in)
{
	const uint8_t *end = memchr(in->data, 0, in->nbytes);

	if (end == NULL)
		return 0;
	skip_input(in, (size_t)(end - in->data) + 1);
	return 1;
}

/* Move 'in' behind the extra field: a 16-bit length and as many bytes. */
static int skip_extra(struct input *in)
{
	size_t nbytes;

	if (in->nbytes < 2)
		return 0;
	nbytes = 2 + ((size_t)in->data[0] | (size_t)in->data[1] << 8);
	if (in->nbytes < nbytes)
		return 0;
	skip_input(in, nbytes);
	return 1;
}

static zc_status check_gzip_header_crc(zc_worker *worker, const uint8_t *header, struct input *in)
{
	uint32_t computed = libdeflate_crc32(0, header, (size_t)(in->data - header)) & 0xffff;

	if (in->nbytes < 2)
		return zc_fail(worker, ZC_ETRUNCATED, "the gzip header is cut");
	if (((uint32_t)in->data[0] | (uint32_t)in->data[1] << 8) != computed)
		return zc_fail(worker, ZC_ECHECKSUM, "crc16 of the gzip header");
	skip_input(in, 2);
	return ZC_OK;
}

static zc_status skip_gzip_header(zc_worker *worker, struct input *in)
{
	const uint8_t *header = in->data;
	unsigned flags;

	if ((in->nbytes > 0 && header[0] != 0x1f) || (in->nbytes > 1 && header[1] != 0x8b))
		return zc_fail(worker, ZC_ECORRUPT, "not a gzip member");
	if (in->nbytes < GZIP_FIXED_NBYTES)
		return zc_fail(worker, ZC_ETRUNCATED, "the gzip header is cut");
	flags = header[3];
	if (header[2] != 8 || (flags & GZIP_RESERVED) != 0)
		return zc_fail(worker, ZC_EUNSUPPORTED, "method or flags of the gzip member");
	skip_input(in, GZIP_FIXED_NBYTES);
	if ((flags & GZIP_EXTRA) && !skip_extra(in))
		return zc_fail(worker, ZC_ETRUNCATED, "the gzip header is cut");
	if ((flags & GZIP_NAME) && !skip_text(in))
		return zc_fail(worker, ZC_ETRUNCATED, "the gzip header is cut");
	if ((flags & GZIP_COMMENT) && !skip_text(in))
		return zc_fail(worker, ZC_ETRUNCATED, "the gzip header is cut");
	return (flags & GZIP_HEADER_CRC) ? check_gzip_header_crc(worker, header, in) : ZC_OK;
}

static zc_status decode_gzip_member(zc_worker *worker, struct input *in, struct output *out)
{
	const uint8_t *decoded = out->data;
	zc_status status = skip_gzip_header(worker, in);
	size_t nbytes;

	if (status == ZC_OK)
		status = inflate_stream(worker, in, out);
	if (status != ZC_OK)
		return status;
	if (in->nbytes < GZIP_TRAILER_NBYTES)
		return zc_fail(worker, ZC_ETRUNCATED, "the gzip trailer is cut");
	nbytes = (size_t)(out->data - decoded);
	if (zc_load_le32(in->data) != libdeflate_crc32(0, decoded, nbytes))
		return zc_fail(worker, ZC_ECHECKSUM, "crc32 of the gzip member");
	if (zc_load_le32(in->data + 4) != (uint32_t)nbytes)	/* modulo 2^32 by definition */
		return zc_fail(worker, ZC_ECHECKSUM, "length of the gzip member");
	skip_input(in, GZIP_TRAILER_NBYTES);
	return ZC_OK;
}

zc_status zc_gzip_encode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			 size_t dst_capacity, size_t *dst_nbytes)
{
	return encode(config, worker, libdeflate_gzip_compress, src, src_nbytes, dst, dst_capacity, dst_nbytes);
}

zc_status zc_gzip_decode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			 size_t dst_capacity, size_t *dst_nbytes)
{
	struct input in = {zc_src_or_empty(src), src_nbytes};
	uint8_t none[1];
	struct output out = {dst != NULL ? dst : none, dst_capacity};
	zc_status status;

	(void)config;
	do {
		status = decode_gzip_member(worker, &in, &out);
	} while (status == ZC_OK && in.nbytes > 0 && in.data[0] == 0x1f);
	if (status == ZC_OK)
		status = check_padding(worker, &in);
	*dst_nbytes = dst_capacity - out.capacity;
	return status;
}

zc_status zc_gzip_bound(const void *config, size_t nbytes, size_t *bound_ret)
{
	(void)config;
	if (nbytes > SIZE_MAX / 2)
		return ZC_ELIMIT;
	*bound_ret = libdeflate_gzip_compress_bound(NULL, nbytes);
	return ZC_OK;
}

zc_status zc_zlib_encode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			 size_t dst_capacity, size_t *dst_nbytes)
{
	return encode(config, worker, libdeflate_zlib_compress, src, src_nbytes, dst, dst_capacity, dst_nbytes);
}

static zc_status skip_zlib_header(zc_worker *worker, struct input *in)
{
	unsigned method, flags;

	if (in->nbytes < ZLIB_HEADER_NBYTES)
		return zc_fail(worker, ZC_ETRUNCATED, "the zlib header is cut");
	method = in->data[0];
	flags = in->data[1];
	if ((method & 0x0f) != 8 || method >> 4 > 7 || (method * 256 + flags) % 31 != 0)
		return zc_fail(worker, ZC_ECORRUPT, "not a zlib stream");
	if (flags & ZLIB_DICTIONARY)
		return zc_fail(worker, ZC_EUNSUPPORTED, "the zlib stream needs a dictionary");
	skip_input(in, ZLIB_HEADER_NBYTES);
	return ZC_OK;
}

static uint32_t load_be32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | (uint32_t)bytes[3];
}

zc_status zc_zlib_decode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			 size_t dst_capacity, size_t *dst_nbytes)
{
	struct input in = {zc_src_or_empty(src), src_nbytes};
	uint8_t none[1];
	struct output out = {dst != NULL ? dst : none, dst_capacity};
	const uint8_t *decoded = out.data;
	zc_status status = skip_zlib_header(worker, &in);

	(void)config;
	if (status == ZC_OK)
		status = inflate_stream(worker, &in, &out);
	if (status != ZC_OK)
		return status;
	if (in.nbytes < ZLIB_TRAILER_NBYTES)
		return zc_fail(worker, ZC_ETRUNCATED, "the zlib trailer is cut");
	*dst_nbytes = (size_t)(out.data - decoded);
	if (load_be32(in.data) != libdeflate_adler32(1, decoded, *dst_nbytes))
		return zc_fail(worker, ZC_ECHECKSUM, "adler32 of the zlib stream");
	skip_input(&in, ZLIB_TRAILER_NBYTES);
	return check_padding(worker, &in);
}

zc_status zc_zlib_bound(const void *config, size_t nbytes, size_t *bound_ret)
{
	(void)config;
	if (nbytes > SIZE_MAX / 2)
		return ZC_ELIMIT;
	*bound_ret = libdeflate_zlib_compress_bound(NULL, nbytes);
	return ZC_OK;
}
