"""CRC-32C, and the crc32c codec's kernel."""

from libc.stdint cimport uint8_t, uint32_t

# The CRC-32C of 'data', which continues 'value', the checksum of what came before (0 at the start).
cdef uint32_t crc32c_value(const uint8_t *data, size_t nbytes, uint32_t value) noexcept nogil
