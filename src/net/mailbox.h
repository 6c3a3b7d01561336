/* SPDX-License-Identifier: Apache-2.0
 * mailbox.h - letters for one thread from others, in the order in which they were posted. The
 * receiver is woken by a bell, an eventfd: unlike a waker of the loop its number is ours to choose,
 * so threads that do not share their descriptors can still ring it. Nothing is allocated. */
#ifndef DIDES_NET_MAILBOX_H
#define DIDES_NET_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* The first member of what is sent. */
struct letter {
    struct letter *next;
};

struct mailbox {
    pthread_mutex_t lock;
    struct letter *first, **end;
    size_t bounded_count, bounded_bytes; /* of the letters in it that are bounded */
    int bell;                            /* borrowed */
};

/* Of letters that may be refused. */
struct mailbox_bounds {
    size_t count, bytes;
};

/* In place: it must not move. */
void mailbox_init(struct mailbox *box, int bell);
void mailbox_release(struct mailbox *box);

/* From any thread. The letter belongs to the receiver from now on, also during the call. */
void mailbox_post(struct mailbox *box, struct letter *letter);
/* False: there are as many as `bounds` allow; the letter is still the caller's. */
bool mailbox_post_bounded(struct mailbox *box, struct letter *letter, size_t bytes,
                          const struct mailbox_bounds *bounds);

/* All letters, the oldest first; NULL: none. Who waits for the bell silences it first. */
struct letter *mailbox_take(struct mailbox *box);

int bell_new(void); /* -1: no descriptor */
void bell_ring(int bell);
void bell_silence(int bell);

#endif
