#include "zc_blosc_header.h"

#include "zc_compressor.h"

#define VERSION 2		/* of the chunk; 3 and above are Blosc 2 */
#define FORMAT_VERSION 1	/* of each stream format so far */

/*
 * How many bytes one byte of a stream can stand for at most, by format, rounded up: a blosclz or LZ4 length byte 255, a
 * Snappy copy 64 in 3 bytes, a deflate match 258 in 2 bits, a zstd block of one repeated byte 128 KiB in 4.
 */
static const size_t max_ratio[ZC_BLOSC_N_FORMATS] = {256, 256, 22, 1032, 32768};

static size_t count_blocks(const struct zc_blosc_header *header)
{
	if ((header->flags & ZC_BLOSC_STORED) || header->nbytes == 0)
		return 0;
	return (header->nbytes + header->blocksize - 1) / header->blocksize;
}

static zc_status check_lengths(zc_worker *worker, const struct zc_blosc_header *header)
{
	if (header->typesize == 0)
		return zc_fail(worker, ZC_ECORRUPT, "typesize of the Blosc header");
	if (header->nbytes > ZC_BLOSC_MAX_NBYTES || header->cbytes < ZC_BLOSC_HEADER_NBYTES)
		return zc_fail(worker, ZC_ECORRUPT, "lengths of the Blosc header");
	if (header->nbytes == 0)
		return ZC_OK;
	if ((header->flags & ZC_BLOSC_STORED) && header->cbytes != header->nbytes + ZC_BLOSC_HEADER_NBYTES)
		return zc_fail(worker, ZC_ECORRUPT, "lengths of the Blosc header");
	if (header->blocksize == 0 || header->blocksize > header->nbytes)
		return zc_fail(worker, ZC_ECORRUPT, "blocksize of the Blosc header");
	return ZC_OK;
}

zc_status zc_blosc_read_header(zc_worker *worker, const uint8_t *src, size_t src_nbytes,
			       struct zc_blosc_header *header_ret)
{
	struct zc_blosc_header header;
	zc_status status;

	if (src_nbytes < ZC_BLOSC_HEADER_NBYTES)
		return zc_fail(worker, ZC_ETRUNCATED, "the Blosc header is cut");
	if (src[0] > VERSION)
		return zc_fail(worker, ZC_EUNSUPPORTED, "the chunk's version is not Blosc 1's");
	header.flags = src[2];
	header.format = (enum zc_blosc_format)(src[2] >> 5);
	header.typesize = src[3];
	header.nbytes = zc_load_le32(src + 4);
	header.blocksize = zc_load_le32(src + 8);
	header.cbytes = zc_load_le32(src + 12);
	if (src[0] != VERSION || src[1] != FORMAT_VERSION)
		return zc_fail(worker, ZC_ECORRUPT, "versions of the Blosc header");
	status = check_lengths(worker, &header);
	if (status != ZC_OK)
		return status;
	if (header.cbytes > src_nbytes)
		return zc_fail(worker, ZC_ETRUNCATED, "the Blosc chunk is cut");
	if (header.cbytes < src_nbytes)
		return zc_fail(worker, ZC_ECORRUPT, "something else follows the Blosc chunk");
	header.n_blocks = count_blocks(&header);
	if (header.n_blocks > 0 && header.format >= ZC_BLOSC_N_FORMATS)
		return zc_fail(worker, ZC_EUNSUPPORTED, "the Blosc chunk's compressor is not known");
	if (header.n_blocks > 0 && header.nbytes / max_ratio[header.format] > header.cbytes)
		return zc_fail(worker, ZC_ECORRUPT, "the Blosc chunk cannot decode to the length in its header");
	if (header.n_blocks > (header.cbytes - ZC_BLOSC_HEADER_NBYTES) / 4)
		return zc_fail(worker, ZC_ECORRUPT, "the Blosc chunk has no room for its block starts");
	*header_ret = header;
	return ZC_OK;
}

void zc_blosc_write_header(const struct zc_blosc_header *header, uint8_t *dst)
{
	dst[0] = VERSION;
	dst[1] = FORMAT_VERSION;
	dst[2] = (uint8_t)(header->flags | (unsigned)header->format << 5);
	dst[3] = (uint8_t)header->typesize;
	zc_store_le32(dst + 4, (uint32_t)header->nbytes);
	zc_store_le32(dst + 8, (uint32_t)header->blocksize);
	zc_store_le32(dst + 12, (uint32_t)header->cbytes);
}

size_t zc_blosc_n_streams(const struct zc_blosc_header *header, size_t block_nbytes)
{
	size_t typesize = header->typesize;

	if ((header->flags & ZC_BLOSC_NOT_SPLIT) || typesize > ZC_BLOSC_MAX_SPLITS)
		return 1;
	if (block_nbytes != header->blocksize || block_nbytes / typesize < ZC_BLOSC_MIN_SPLIT_NBYTES)
		return 1;
	return typesize;
}

size_t zc_blosc_block_nbytes(const struct zc_blosc_header *header, size_t i)
{
	return i + 1 < header->n_blocks ? header->blocksize : header->nbytes - i * header->blocksize;
}
