/* SPDX-License-Identifier: Apache-2.0
 * fuzz.h - what the fuzz targets share. A target takes any bytes and claims what must hold of the
 * decoder: that it does no harm is left to the sanitizers. Targets keep nothing from one input to
 * the next, so that an input fails alone as it failed among others.
 *
 * targets.h lists them; driver.c runs one under libFuzzer, replay.c all of them over their corpora
 * in every build. tool/fuzz does the rest. */
#ifndef DIDES_FUZZ_FUZZ_H
#define DIDES_FUZZ_FUZZ_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/err.h"
#include "targets.h"
#include "wire/json_table.h"

#include <stdio.h>
#include <stdlib.h>

typedef void fuzz_fn(struct text input);

struct fuzz_target {
    const char *name;
    fuzz_fn *run;
    unsigned max_bytes;  /* of an input */
    const char *words;   /* file of fuzz/words, without .dict; or NULL */
    const char *sources; /* of the decoder, separated by blanks: what coverage is told of */
};
extern const struct fuzz_target fuzz_targets[];
extern const size_t fuzz_target_count;
const struct fuzz_target *fuzz_find(const char *name); /* NULL: none */

/* Ends the process when what the target claims does not hold. */
#define CLAIM(what) ((what) ? (void)0 : fuzz_broken(#what, __FILE__, __LINE__))
_Noreturn void fuzz_broken(const char *what, const char *file, int line);

/* An arena and buffers for one input; fuzz_end() gives them back. */
struct fuzz {
    struct arena arena;
    struct buffer out, again, third;
    struct err err;
};
#define FUZZ_ROOM ((size_t)16 << 20)
void fuzz_begin(struct fuzz *f);
void fuzz_end(struct fuzz *f);

/* What every error must be: one of the codes (ERR_COUNT ends the list), with a sentence that can be
 * shown, and a pointer that is none or begins with a slash. */
#define CLAIM_ERROR(err, ...)                                                                      \
    fuzz_claim_error((err), (const enum err_code[]){ __VA_ARGS__, ERR_CODE_COUNT })
void fuzz_claim_error(const struct err *err, const enum err_code *codes);
void fuzz_claim_equal(struct text a, struct text b);
void fuzz_claim_safe(struct text t); /* UTF-8 without control characters */

/* Reads `input` as the table says, writes it, reads that, and claims that nothing was lost and no
 * limit passed. Returns whether it was read. */
bool fuzz_table(const struct json_table *table, struct text input);

/* The part of *rest before the first `separator`, which is cut off; all of it when there is none.
 */
struct text fuzz_part(struct text *rest, char separator);

/* A file with these bytes and mode 0600 in a folder of this process, removed at its end. The path
 * is good until the next call with the same name. */
const char *fuzz_file(const char *name, struct text bytes);
const char *fuzz_folder(void);

#endif
