/* SPDX-License-Identifier: Apache-2.0
 * checksum.c - the sums of the stored format. */
#include "store/sqlite/checksum.h"

#include "base/crc32c.h"

/* The finaliser of splitmix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit,
 * and different inputs never meet. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint32_t sqlite_row_crc(struct text key, struct text value)
{
    unsigned char size[4];
    for (unsigned i = 0; i < 4; i++)
        size[i] = (unsigned char)(key.size >> (8 * i));
    uint32_t crc = crc32c(0, size, sizeof size);
    crc = crc32c(crc, key.data, key.size);
    return crc32c(crc, value.data, value.size);
}

uint64_t sqlite_row_share(struct text key, uint32_t row_crc)
{
    return mix((uint64_t)crc32c(0, key.data, key.size) << 32 | row_crc);
}

uint64_t sqlite_chain(uint64_t previous, uint64_t seq, uint32_t batch_crc)
{
    return mix(mix(previous ^ mix(seq)) ^ batch_crc);
}
