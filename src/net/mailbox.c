/* SPDX-License-Identifier: Apache-2.0
 * mailbox.c - see mailbox.h. The bell is rung for the first letter only: who comes to fetch it
 * takes all that follow. */
#include "net/mailbox.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

void mailbox_init(struct mailbox *box, int bell)
{
    *box = (struct mailbox){ .end = &box->first, .bell = bell };
    pthread_mutex_init(&box->lock, NULL);
}

void mailbox_release(struct mailbox *box)
{
    pthread_mutex_destroy(&box->lock);
}

/* Locked. Returns whether the box was empty. */
static bool append(struct mailbox *box, struct letter *letter)
{
    bool was_empty = !box->first;
    letter->next = NULL;
    *box->end = letter;
    box->end = &letter->next;
    return was_empty;
}

void mailbox_post(struct mailbox *box, struct letter *letter)
{
    pthread_mutex_lock(&box->lock);
    bool was_empty = append(box, letter);
    pthread_mutex_unlock(&box->lock);
    if (was_empty)
        bell_ring(box->bell);
}

bool mailbox_post_bounded(struct mailbox *box, struct letter *letter, size_t bytes,
                          const struct mailbox_bounds *bounds)
{
    bool was_empty = false;
    pthread_mutex_lock(&box->lock);
    bool has_room =
        box->bounded_count < bounds->count && bytes <= bounds->bytes - box->bounded_bytes;
    if (has_room) {
        box->bounded_count++;
        box->bounded_bytes += bytes;
        was_empty = append(box, letter);
    }
    pthread_mutex_unlock(&box->lock);
    if (was_empty)
        bell_ring(box->bell);
    return has_room;
}

struct letter *mailbox_take(struct mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    struct letter *first = box->first;
    box->first = NULL;
    box->end = &box->first;
    box->bounded_count = box->bounded_bytes = 0;
    pthread_mutex_unlock(&box->lock);
    return first;
}

int bell_new(void)
{
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

/* Can only fail when the bell has been rung 2^64 times: then it is ringing. */
void bell_ring(int bell)
{
    const uint64_t once = 1;
    while (write(bell, &once, sizeof once) < 0 && errno == EINTR)
        continue;
}

void bell_silence(int bell)
{
    uint64_t rings;
    while (read(bell, &rings, sizeof rings) < 0 && errno == EINTR)
        continue; /* EAGAIN: it was silent */
}
