"""What is left between zarrc and the limit, and why: shown beside the numbers."""

from __future__ import annotations

from fnmatch import fnmatchcase

# Pattern of workload names -> remark; the first that matches counts.
REMARKS: dict[str, str] = {
    "read/none/*": "the kernel clears the result's pages, 0.09 ms a MiB; short rows need a second copy",
    "read/zstd/*": "libzstd is nine tenths; the rest clears the result's pages and puts rows in their place",
    "read-held/*": "as read all, and no memory can be used again",
    "chunks/none/*": "the result is what the last one left: no page is cleared, all is the system's copy",
    "chunks/zstd/*": "libzstd is nine tenths",
    "write/none/*": "rows are gathered in pieces that stay in the cache; then the system's copy",
    "write/zstd/*": "libzstd is all but the gathering of rows",
    "copy/*/local": "files of 4 MiB and more are written from a mapping, in blocks asked for before",
    "copy/*/memory": "stored bytes never change, so both arrays hold the same ones",
    "threads/*": "see read all and write all",
    "element/none/*": "the call: parsing, looking whether the array is still there, a NumPy scalar",
    "slice/none/*": "the call, a new array, and a copy of rows of 400 bytes",
    "slice-4/none/*": "as one slice, four times",
    "chunks-16/none/memory": "rows of 800 bytes do not stay in the first cache: the copy is all there is",
    "chunks-16/none/local": "16 files opened and closed, 3 us each; the system's copy; that of rows",
    "element/blosc-lz4/*": "LZ4 is decoded up to the element, in each of eight streams",
    "slice/blosc-lz4/*": "LZ4 is decoded up to the slice's last row",
    "chunks-16/blosc-lz4/*": "LZ4's decoder, which peers have too, is half; a second thread costs a tenth",
    "chunks-16/zstd/*": "libzstd; a second thread costs a twentieth",
    "shard-*": "libzstd; the index is read and checked, and places are looked up in it",
    "points/none/10000": "a system call for each point, or a copy of the whole chunk: here they cost alike",
    "points/none/*": "sorting by chunk is half, then the system's copy; picking is a sixth",
    "points/blosc-lz4/10000": "LZ4's decoder",
    "points/zstd/10000": "libzstd",
    "points/*": "the decoder; sorting by chunk",
    "orthogonal/none": "a system call for each row of the list in a chunk, and its copy",
    "orthogonal/*": "the decoder",
    "mask/none/*": "the system's copy; the mask is counted and walked by chunk, no coordinate is made",
    "mask/*": "the decoder, up to the last element of a chunk that is wanted; the mask is walked by chunk",
    "by-hand/*": "NumPy's own indexing is most of it",
    "map/*": "libzstd's encoder is two thirds",
    "view/*": "as the direct read",
    "direct/none/transposed": "tiles that stay in the first cache are turned in registers",
    "again/*": "the call; looking whether the files are still the same; rows of 2 KiB",
    "again-cached/*": "the call; looking whether the files are still the same; rows of 2 KiB",
    "*/zstd/*": "libzstd, which has to decode from the chunk's beginning",
    "open/*": "six system calls for v3, nine for v2; the document is compared with those parsed before",
    "decode/gzip-6": "libdeflate's inflate is nine tenths",
    "encode/gzip-6": "libdeflate alone",
    "decode/zstd": "libzstd is nine tenths; then rows are put in their place",
    "decode/lz4": "LZ4's decoder; then rows are put in their place",
    "decode/blosc-*": "the decoder; then the shuffle is undone and rows are put in their place",
    "encode/crc32c": "the copy, cleared pages of the new store, 20 GB/s of checksum",
    "decode/crc32c": "20 GB/s of checksum, and the copy",
    "encode/*": "the encoder; rows are gathered for it",
    "decode/*": "the copy",
    "tiny-read/*": "key, hash, look-up and copy of each chunk; past 10^5 chunks they are not in the caches",
    "tiny-write/*": "as reading, and three small allocations a chunk",
    "row/*": "as small slices, 16 times",
    "column/*": "the system reads each file, for 4 bytes in each row",
    "step*": "the whole chunk is read for a part of it",
    "reversed/*": "the copy runs against the grain",
    "remote-read/*": "the floor asks for all, and decodes when all has come; zarrc decodes meanwhile",
    "remote-write/256-large/*": "libzstd, the proxy and the server keep two processors busy",
    "remote-write/*": "libzstd is asked for the next chunks while others are on their way",
    "transposed/*": "tiles that stay in the first cache are turned in registers",
}


def remark(workload: str) -> str:
    """Return what is left to say of a workload."""
    return next((text for pattern, text in REMARKS.items() if fnmatchcase(workload, pattern)), "")
