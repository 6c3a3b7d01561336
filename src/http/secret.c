/* SPDX-License-Identifier: Apache-2.0
 * secret.c - see secret.h. A plain hash is enough where what is hashed has 256 random bits: there
 * is nothing to guess, and SHA-256 is what operators have at hand for tokens of their own. */
#include "http/secret.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define RANDOM_SIZE 32

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
    assert(size +
               sodium_base64_ENCODED_LEN(RANDOM_SIZE, sodium_base64_VARIANT_URLSAFE_NO_PADDING) ==
           SECRET_TEXT_SIZE);
    randombytes_buf(random, sizeof random);
    memcpy(ret, prefix, size);
    sodium_bin2base64(ret + size, SECRET_TEXT_SIZE - size, random, sizeof random,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
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

bool secret_from_hex(struct text hex, unsigned char ret[static SECRET_HASH_SIZE])
{
    unsigned char bytes[SECRET_HASH_SIZE];
    size_t size = 0;
    if (hex.size != SECRET_HEX_SIZE ||
        sodium_hex2bin(bytes, sizeof bytes, hex.data, hex.size, NULL, &size, NULL) != 0 ||
        size != sizeof bytes)
        return false;
    memcpy(ret, bytes, sizeof bytes);
    return true;
}
