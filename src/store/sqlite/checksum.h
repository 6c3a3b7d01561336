/* SPDX-License-Identifier: Apache-2.0
 * checksum.h - the sums of the stored format. They are part of it: a change is a new format
 * version, which is why they stand on CRC32C and plain arithmetic alone. */
#ifndef DIDES_STORE_SQLITE_CHECKSUM_H
#define DIDES_STORE_SQLITE_CHECKSUM_H

#include "base/text.h"

/* Of a row (kv or meta): CRC32C over the size of the key (u32, little-endian), key, value. */
uint32_t sqlite_row_crc(struct text key, struct text value);
/* What a row of kv adds to the digest, modulo 2^64. */
uint64_t sqlite_row_share(struct text key, uint32_t row_crc);
/* The chain of a journal row from that of the row before (0 before the first), its seq, its CRC. */
uint64_t sqlite_chain(uint64_t previous, uint64_t seq, uint32_t batch_crc);

#endif
