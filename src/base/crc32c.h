/* SPDX-License-Identifier: Apache-2.0
 * crc32c.h - CRC-32C (Castagnoli), in hardware where the processor has it. Check value of
 * "123456789" is 0xe3069283 (RFC 3720, appendix B.4). */
#ifndef DIDES_BASE_CRC32C_H
#define DIDES_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Start with crc 0; the result of one call continues in the next. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);
/* The same without the processor's help; what crc32c() does where there is none. */
uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t size);

#endif
