/* SPDX-License-Identifier: Apache-2.0
 * credentials.h - whose credential is it: hashes by slot of the fleet, and back. A credential that
 * was replaced stays good until the new one is first used, because the answer that brought the new
 * one may have been lost. 40 bytes per instance, 16 for the way back, and a hash more while a
 * replaced one is still good. Knows no store: changes can be taken back while they are not durable.
 */
#ifndef DIDES_HTTP_CREDENTIALS_H
#define DIDES_HTTP_CREDENTIALS_H

#include "base/map.h"
#include "http/secret.h"

#define CREDENTIAL_NOBODY UINT32_MAX

struct credential {
    unsigned char present[SECRET_HASH_SIZE]; /* zeros: none */
    unsigned char *previous;                 /* NULL: none */
};

/* What a slot had before a change that is not durable yet. */
struct credential_change {
    struct credential_change *newer, *older;
    struct credential was;
    uint32_t slot;
    bool is_open;
};

struct credentials {
    const struct memory *memory;
    struct credential *by_slot;
    uint32_t capacity, count; /* of those that have one */
    struct map hashes;        /* to items, two for each slot: its present and its previous one */
    unsigned char *spare;     /* for the next previous one */
    struct credential_change *newest;
};

void credentials_init(struct credentials *c, const struct memory *memory);
/* Changes that are still open are dropped with the rest. */
void credentials_release(struct credentials *c);

enum credential_kind { CREDENTIAL_NONE, CREDENTIAL_PRESENT, CREDENTIAL_PREVIOUS };

/* The slot that this is a credential of, or CREDENTIAL_NOBODY; and which of its two. */
uint32_t credentials_find(const struct credentials *c,
                          const unsigned char hash[static SECRET_HASH_SIZE],
                          enum credential_kind *ret_kind);
bool credentials_has(const struct credentials *c, uint32_t slot);
/* NULL: none. Borrowed until the next change. */
const unsigned char *credentials_present(const struct credentials *c, uint32_t slot);
const unsigned char *credentials_previous(const struct credentials *c, uint32_t slot);

/* Room for one change of a slot below `slots`, so that it cannot fail. False: no memory. */
bool credentials_reserve(struct credentials *c, uint32_t slots);

/* Gives the slot a new one, for somebody who proved to have the one of `shown`, which stays good.
 * CREDENTIAL_NONE: nothing was proved; then the one that is known to be in use stays good. */
void credentials_replace(struct credentials *c, uint32_t slot,
                         const unsigned char hash[static SECRET_HASH_SIZE],
                         enum credential_kind shown, struct credential_change *log);
void credentials_remove(struct credentials *c, uint32_t slot, struct credential_change *log);
/* The present one was used: the previous one is no longer good. Cannot be taken back: it may only
 * be called for a credential that somebody got, which is durable. */
void credentials_retire(struct credentials *c, uint32_t slot);
/* At start: as stored; `previous` may be NULL. There must be room. */
void credentials_load(struct credentials *c, uint32_t slot,
                      const unsigned char present[static SECRET_HASH_SIZE],
                      const unsigned char *previous);

/* The change is durable. */
void credentials_settle(struct credentials *c, struct credential_change *log);
/* All changes that are not durable are taken back, the newest first; their logs are closed. */
void credentials_take_back(struct credentials *c);

#endif
