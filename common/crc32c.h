/*
 * CRC-32C (Castagnoli; RFC 3720 appendix B.4), by the CPU's instruction where
 * it has one. crc32c(crc32c(0, a), b) is the sum of a and b together. Pure.
 */
#ifndef SLUICE_CRC32C_H
#define SLUICE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* The same without the instruction: for the test of the other. */
uint32_t crc32c_table(uint32_t crc, const void *data, size_t len);

#endif
