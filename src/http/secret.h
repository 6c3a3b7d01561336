/* SPDX-License-Identifier: Apache-2.0
 * secret.h - tokens and credentials as texts that nobody can guess, and their hashes, which are all
 * that is ever kept or compared. */
#ifndef DIDES_HTTP_SECRET_H
#define DIDES_HTTP_SECRET_H

#include "base/buffer.h"
#include "base/err.h"

#define SECRET_HASH_SIZE 32 /* SHA-256 */
#define SECRET_HEX_SIZE  64
/* A prefix of three bytes that tells what was found lying about, and 256 random bits. */
#define SECRET_TEXT_SIZE  47 /* NUL included */
#define SECRET_TOKEN      "dt_"
#define SECRET_CREDENTIAL "dc_"

/* Before any other call of this header; again does nothing. ERR_INTERNAL: the kernel gives no
 * random numbers. */
bool secret_open(struct err *err);

uint64_t secret_seed(void); /* random */
/* A fresh one; `prefix` is one of the two above. Whoever has shown it wipes it. */
void secret_make(const char *prefix, char ret[static SECRET_TEXT_SIZE]);
void secret_wipe(void *bytes, size_t size);

void secret_hash(struct text secret, unsigned char ret[static SECRET_HASH_SIZE]);
/* In a time that does not tell where they differ. */
bool secret_equal(const unsigned char a[static SECRET_HASH_SIZE],
                  const unsigned char b[static SECRET_HASH_SIZE]);

/* 64 hexadecimal digits; ret ends in NUL. Reading takes both letter cases; false: it is not that.
 */
void secret_to_hex(const unsigned char hash[static SECRET_HASH_SIZE],
                   char ret[static SECRET_HEX_SIZE + 1]);
bool secret_from_hex(struct text hex, unsigned char ret[static SECRET_HASH_SIZE]);

/* For what has to be stored although it holds a secret: only who knows `phrase`, which holds one
 * itself, can read it. Appends text to `out`, which fails when there is no memory. */
void secret_seal(struct text plain, struct text phrase, struct buffer *out);
/* Appends what was sealed. False: it is damaged, or the phrase is another one, or no memory. */
bool secret_unseal(struct text sealed, struct text phrase, struct buffer *out);

#endif
