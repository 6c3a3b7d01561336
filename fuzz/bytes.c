/* SPDX-License-Identifier: Apache-2.0
 * bytes.c - binary forms: batches of the journal, checksums, sealed texts, hashes. */
#include "base/crc32c.h"
#include "fuzz.h"
#include "http/secret.h"
#include "store/sqlite/batch.h"

#include <string.h>

#define OPS_MAX 4096

/* There is one way to write a batch: what is taken is what would have been written. */
void fuzz_batch(struct text input)
{
    uint32_t count = 0;
    struct sqlite_batch_reader reader;
    if (!sqlite_batch_check(input, &count))
        return;
    CLAIM(sqlite_batch_open(&reader, input) && reader.left == count);
    struct store_op *ops = calloc(count + 1, sizeof *ops);
    CLAIM(ops != NULL);
    for (uint32_t i = 0; i < count; i++) {
        CLAIM(sqlite_batch_next(&reader, &ops[i]));
        CLAIM(ops[i].key.size > 0 && ops[i].key.size <= STORE_KEY_MAX);
        CLAIM(ops[i].value.size <= STORE_VALUE_MAX);
        CLAIM(!ops[i].is_delete || ops[i].value.size == 0);
    }
    struct buffer out;
    struct store_batch batch = { .ops = ops, .count = count };
    buffer_init(&out, &memory_heap, FUZZ_ROOM);
    sqlite_batch_encode(&out, &batch);
    CLAIM(sqlite_batch_size(&batch) == input.size);
    fuzz_claim_equal(buffer_text(&out), input);
    buffer_release(&out);
    free(ops);
}

void fuzz_crc(struct text input)
{
    size_t half = input.size / 3;
    uint32_t whole = crc32c(0, input.data, input.size);
    CLAIM(whole == crc32c_by_table(0, input.data, input.size));
    uint32_t first = crc32c(0, input.data, half);
    CLAIM(whole == crc32c(first, input.data + half, input.size - half));
    CLAIM(whole == crc32c_by_table(first, input.data + half, input.size - half));
}

/* The first line is a phrase, the rest is taken as something sealed, and is sealed. */
void fuzz_secret(struct text input)
{
    unsigned char hash[SECRET_HASH_SIZE], again[SECRET_HASH_SIZE];
    char hex[SECRET_HEX_SIZE + 1];
    struct fuzz f;
    fuzz_begin(&f);
    CLAIM(secret_open(NULL));
    if (secret_from_hex(input, hash)) {
        secret_to_hex(hash, hex);
        CLAIM(text_equal_nocase(text_from(hex), input));
        CLAIM(secret_from_hex(text_from(hex), again) && secret_equal(hash, again));
    }
    struct text phrase = fuzz_part(&input, '\n');
    CLAIM(!secret_unseal(input, phrase, &f.out));
    buffer_clear(&f.out);
    secret_seal(input, phrase, &f.out);
    CLAIM(!f.out.failed);
    fuzz_claim_safe(buffer_text(&f.out));
    CLAIM(secret_unseal(buffer_text(&f.out), phrase, &f.again));
    fuzz_claim_equal(buffer_text(&f.again), input);
    f.out.data[f.out.size / 2] ^= 1;
    buffer_clear(&f.again);
    CLAIM(!secret_unseal(buffer_text(&f.out), phrase, &f.again));
    fuzz_end(&f);
}
