/* SPDX-License-Identifier: Apache-2.0
 * secret.c - see secret.h. A plain hash is enough where what is hashed has 256 random bits: there
 * is nothing to guess, and SHA-256 is what operators have at hand for tokens of their own. */
#include "http/secret.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define RANDOM_SIZE 32
#define SEAL_SIZE   (crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES)
#define SEAL_MAX    ((size_t)1 << 20)
#define BASE64      sodium_base64_VARIANT_URLSAFE_NO_PADDING

static_assert(SECRET_HASH_SIZE == crypto_hash_sha256_BYTES, "the size of SHA-256");

bool secret_open(struct err *err)
{
    if (sodium_init() >= 0)
        return true;
    return err_set(err, ERR_INTERNAL, "the library for secrets cannot be used");
}

uint64_t secret_seed(void)
{
    uint64_t seed;
    randombytes_buf(&seed, sizeof seed);
    return seed;
}

void secret_make(const char *prefix, char ret[static SECRET_TEXT_SIZE])
{
    unsigned char random[RANDOM_SIZE];
    size_t size = strlen(prefix);
    assert(size + sodium_base64_ENCODED_LEN(RANDOM_SIZE, BASE64) == SECRET_TEXT_SIZE);
    randombytes_buf(random, sizeof random);
    memcpy(ret, prefix, size);
    sodium_bin2base64(ret + size, SECRET_TEXT_SIZE - size, random, sizeof random, BASE64);
    sodium_memzero(random, sizeof random);
}

void secret_wipe(void *bytes, size_t size)
{
    sodium_memzero(bytes, size);
}

void secret_hash(struct text secret, unsigned char ret[static SECRET_HASH_SIZE])
{
    crypto_hash_sha256(ret, (const unsigned char *)secret.data, secret.size);
}

bool secret_equal(const unsigned char a[static SECRET_HASH_SIZE],
                  const unsigned char b[static SECRET_HASH_SIZE])
{
    return sodium_memcmp(a, b, SECRET_HASH_SIZE) == 0;
}

void secret_to_hex(const unsigned char hash[static SECRET_HASH_SIZE],
                   char ret[static SECRET_HEX_SIZE + 1])
{
    sodium_bin2hex(ret, SECRET_HEX_SIZE + 1, hash, SECRET_HASH_SIZE);
}

/* 0 to 15, or more. */
static unsigned digit_of(char c)
{
    unsigned char lower = (unsigned char)c | 0x20;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10u : 16u;
}

/* Not by sodium_hex2bin(), which takes its time so that nobody learns from it: what is read here
 * are hashes, and a million of them at a start. */
bool secret_from_hex(struct text hex, unsigned char ret[static SECRET_HASH_SIZE])
{
    unsigned char bytes[SECRET_HASH_SIZE];
    if (hex.size != SECRET_HEX_SIZE)
        return false;
    for (size_t i = 0; i < sizeof bytes; i++) {
        unsigned high = digit_of(hex.data[2 * i]), low = digit_of(hex.data[2 * i + 1]);
        if (high > 15 || low > 15)
            return false;
        bytes[i] = (unsigned char)(high << 4 | low);
    }
    memcpy(ret, bytes, sizeof bytes);
    return true;
}

/* ---- seals ---------------------------------------------------------------------------------- */

static void key_of(struct text phrase, unsigned char ret[static crypto_secretbox_KEYBYTES])
{
    static const unsigned char purpose[] = "dides: what was answered before";
    crypto_generichash(ret, crypto_secretbox_KEYBYTES, (const unsigned char *)phrase.data,
                       phrase.size, purpose, sizeof purpose);
}

/* A random number, then the box. */
static bool fill_box(struct text plain, struct text phrase, unsigned char *box)
{
    unsigned char key[crypto_secretbox_KEYBYTES];
    key_of(phrase, key);
    randombytes_buf(box, crypto_secretbox_NONCEBYTES);
    int failed = crypto_secretbox_easy(box + crypto_secretbox_NONCEBYTES,
                                       (const unsigned char *)plain.data, plain.size, box, key);
    sodium_memzero(key, sizeof key);
    return failed == 0;
}

void secret_seal(struct text plain, struct text phrase, struct buffer *out)
{
    size_t size = plain.size + SEAL_SIZE;
    size_t text_size = sodium_base64_encoded_len(size, BASE64); /* NUL included */
    unsigned char *box = size <= SEAL_MAX ? memory_take(out->memory, size) : NULL;
    char *text = box ? buffer_reserve(out, text_size) : NULL;
    if (text && fill_box(plain, phrase, box)) {
        sodium_bin2base64(text, text_size, box, size, BASE64);
        out->size--; /* that NUL */
    } else {
        out->failed = true;
    }
    memory_give(out->memory, box, size);
}

static bool open_box(const unsigned char *box, size_t size, struct text phrase, struct buffer *out)
{
    unsigned char key[crypto_secretbox_KEYBYTES];
    size_t before = out->size;
    char *plain = size >= SEAL_SIZE ? buffer_reserve(out, size - SEAL_SIZE) : NULL;
    key_of(phrase, key);
    bool is_open = plain && crypto_secretbox_open_easy(
                                (unsigned char *)plain, box + crypto_secretbox_NONCEBYTES,
                                size - crypto_secretbox_NONCEBYTES, box, key) == 0;
    sodium_memzero(key, sizeof key);
    if (!is_open)
        out->size = before;
    return is_open;
}

bool secret_unseal(struct text sealed, struct text phrase, struct buffer *out)
{
    size_t size = 0;
    if (sealed.size == 0 || sealed.size > 2 * SEAL_MAX)
        return false;
    unsigned char *box = memory_take(out->memory, sealed.size);
    bool is_open = box &&
                   sodium_base642bin(box, sealed.size, sealed.data, sealed.size, NULL, &size, NULL,
                                     BASE64) == 0 &&
                   open_box(box, size, phrase, out);
    memory_give(out->memory, box, sealed.size);
    return is_open;
}
