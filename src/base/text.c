/* SPDX-License-Identifier: Apache-2.0
 * text.c - views of bytes: comparing, cutting, hashing, UTF-8. See text.h. */
#include "base/text.h"

static unsigned char lower(char byte)
{
    unsigned char c = (unsigned char)byte;
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
}

bool text_equal_nocase(struct text a, struct text b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        if (a.data[i] != b.data[i] && lower(a.data[i]) != lower(b.data[i]))
            return false;
    return true;
}

int text_compare(struct text a, struct text b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    if (order)
        return order;
    return a.size < b.size ? -1 : a.size > b.size;
}

bool text_starts_with(struct text t, struct text prefix)
{
    return t.size >= prefix.size && text_equal((struct text){ t.data, prefix.size }, prefix);
}

bool text_ends_with(struct text t, struct text suffix)
{
    return t.size >= suffix.size && text_equal(text_skip(t, t.size - suffix.size), suffix);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct text text_trim(struct text t)
{
    while (t.size && is_blank(t.data[0]))
        t = text_skip(t, 1);
    while (t.size && is_blank(t.data[t.size - 1]))
        t.size--;
    return t;
}

bool text_cut(struct text *rest, char separator, struct text *ret)
{
    if (!rest->data)
        return false;
    size_t at = text_find(*rest, separator);
    *ret = (struct text){ rest->data, at };
    *rest = at < rest->size ? text_skip(*rest, at + 1) : TEXT_NONE;
    return true;
}

/* Hashing: 128-bit products folded to 64 bits carry every input bit to every output bit; three
 * independent lanes keep the multiplier busy on long texts. Both factors of a product are mixed
 * with words made from the seed, or a text that makes a factor 0 would swallow the other one,
 * whatever the seed. The constants are the fractions of the square roots of 2, 3, 5 and 7, made
 * odd. */
#define HASH_A 0x6a09e667f3bcc909u
#define HASH_B 0xbb67ae8584caa73bu
#define HASH_C 0x3c6ef372fe94f82bu
#define HASH_D 0xa54ff53a5f1d36f1u

static uint64_t fold_product(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t read_u64(const char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    return value;
}

static uint64_t read_u32(const char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap32(value);
#endif
    return value;
}

/* Up to 16 bytes as two words that no other text of that size has. */
static void read_short(const char *at, size_t size, uint64_t *ret_low, uint64_t *ret_high)
{
    if (size >= 8) {
        *ret_low = read_u64(at);
        *ret_high = read_u64(at + size - 8);
    } else if (size >= 4) {
        *ret_low = read_u32(at);
        *ret_high = read_u32(at + size - 4);
    } else {
        *ret_low = size ? (uint64_t)(unsigned char)at[0] << 16 |
                              (uint64_t)(unsigned char)at[size / 2] << 8 |
                              (unsigned char)at[size - 1]
                        : 0;
        *ret_high = 0;
    }
}

/* Takes as many bytes off *at as leave 1 to 16. */
static uint64_t hash_long(const char **at, size_t *size, uint64_t state, uint64_t key)
{
    const char *p = *at;
    size_t left = *size;
    uint64_t second = state, third = state;
    for (; left > 48; p += 48, left -= 48) {
        state = fold_product(read_u64(p) ^ key ^ HASH_B, read_u64(p + 8) ^ state);
        second = fold_product(read_u64(p + 16) ^ key ^ HASH_C, read_u64(p + 24) ^ second);
        third = fold_product(read_u64(p + 32) ^ key ^ HASH_D, read_u64(p + 40) ^ third);
    }
    if (p != *at)
        state ^= second ^ third;
    for (; left > 16; p += 16, left -= 16)
        state = fold_product(read_u64(p) ^ key ^ HASH_B, read_u64(p + 8) ^ state);
    *at = p;
    *size = left;
    return state;
}

uint64_t text_hash(struct text t, uint64_t seed)
{
    const char *at = t.data;
    size_t left = t.size;
    uint64_t low, high, state = fold_product(seed ^ HASH_A, HASH_B);
    const uint64_t key = fold_product(seed ^ HASH_C, HASH_D) ^ seed;
    if (left > 16)
        state = hash_long(&at, &left, state, key);
    read_short(at, left, &low, &high);
    uint64_t folded = fold_product(low ^ key, high ^ state);
    return fold_product(folded ^ HASH_D ^ t.size, state ^ key ^ HASH_A);
}

/* What may follow a first byte, from table 3-7 of the Unicode standard. */
struct utf8_lead {
    unsigned char first, last;       /* of the first byte */
    unsigned char second, second_to; /* range of the second; later ones are 0x80 to 0xbf */
    size_t size;
};

/* clang-format off */
static const struct utf8_lead utf8_leads[] = {
    { 0xc2, 0xdf, 0x80, 0xbf, 2 },
    { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, /* no overlong forms */
    { 0xe1, 0xec, 0x80, 0xbf, 3 },
    { 0xed, 0xed, 0x80, 0x9f, 3 }, /* no surrogates */
    { 0xee, 0xef, 0x80, 0xbf, 3 },
    { 0xf0, 0xf0, 0x90, 0xbf, 4 }, /* no overlong forms */
    { 0xf1, 0xf3, 0x80, 0xbf, 4 },
    { 0xf4, 0xf4, 0x80, 0x8f, 4 }, /* nothing over U+10FFFF */
};
/* clang-format on */

static bool follows(const struct utf8_lead *lead, const unsigned char *bytes)
{
    if (bytes[1] < lead->second || bytes[1] > lead->second_to)
        return false;
    for (size_t i = 2; i < lead->size; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return false;
    return true;
}

size_t text_utf8_size(struct text t)
{
    if (t.size == 0)
        return 0;
    const unsigned char *bytes = (const unsigned char *)t.data;
    if (bytes[0] < 0x80)
        return 1;
    for (size_t i = 0; i < sizeof utf8_leads / sizeof utf8_leads[0]; i++) {
        const struct utf8_lead *lead = &utf8_leads[i];
        if (bytes[0] < lead->first || bytes[0] > lead->last)
            continue;
        return t.size >= lead->size && follows(lead, bytes) ? lead->size : 0;
    }
    return 0;
}

/* ASCII, nearly everything in practice, goes by eight bytes at a time. */
static struct text skip_ascii(struct text t)
{
    size_t i = 0;
    while (t.size - i >= 8 && !(read_u64(t.data + i) & 0x8080808080808080u))
        i += 8;
    while (i < t.size && (unsigned char)t.data[i] < 0x80)
        i++;
    return text_skip(t, i);
}

bool text_is_utf8(struct text t)
{
    for (t = skip_ascii(t); t.size; t = skip_ascii(t)) {
        size_t size = text_utf8_size(t);
        if (size == 0)
            return false;
        t = text_skip(t, size);
    }
    return true;
}

bool text_is_printable(struct text t)
{
    for (size_t i = 0; i < t.size; i++)
        if ((unsigned char)t.data[i] < 0x20 || t.data[i] == 0x7f)
            return false;
    return true;
}

#define U64_DIGITS 20 /* of UINT64_MAX, the first of which is 1 */

bool text_to_u64(struct text t, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;
    if (t.size == 0 || t.size > U64_DIGITS || (t.data[0] == '0' && t.size > 1))
        return false;
    for (size_t i = 0; i < t.size; i++) {
        unsigned digit = (unsigned)(t.data[i] - '0');
        if (digit > 9 || (i + 1 == U64_DIGITS && value > (UINT64_MAX - digit) / 10))
            return false; /* before the last possible digit nothing overflows */
        value = value * 10 + digit;
    }
    if (value > max)
        return false;
    *ret = value;
    return true;
}
