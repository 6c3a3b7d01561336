/* SPDX-License-Identifier: Apache-2.0
 * http_relay.h - an HTTP server whose connections live on threads of their own, while its owner
 * stays on his loop. Internal to the HTTP server: owners use http_server.h and notice nothing.
 *   http_relay.c    the owner's side: threads started and ended, letters from them
 *   http_front.c    a thread: an ordinary HTTP server on a loop of its own, which hands over
 *   http_relayed.c  what the owner does with an exchange that came from a thread
 *
 * Each thread has a descriptor table of its own (unshare(2)), so that the limit of open descriptors
 * holds for each of them and not for all together. A descriptor is only a number in the table of
 * its thread: none is ever passed, only bytes are. The bells of mailboxes stand in both tables.
 *
 * Who may touch what: a request is copied into a struct http_relayed, which both sides keep.
 * Members say whose they are; everything else goes by letters. It lives as long as somebody holds
 * it: one hold travels with the request to the owner and with his last word back, and each other
 * letter from the thread has one. */
#ifndef DIDES_NET_HTTP_RELAY_H
#define DIDES_NET_HTTP_RELAY_H

#include "net/http_server_parts.h"
#include "net/mailbox.h"

#include <pthread.h>

enum relay_word {
    /* from a thread */
    RELAY_REQUEST,
    RELAY_LEFT,   /* the client, once: nothing more can be said */
    RELAY_ROOM,   /* all of a pulled answer so far is sent */
    RELAY_CLOSED, /* the thread's last */
    /* to a thread; the last four of an exchange are its owner's last word */
    RELAY_OPEN, /* a stream */
    RELAY_PULL, /* one that asks for more by RELAY_ROOM */
    RELAY_TEXT,
    RELAY_END,
    RELAY_ABANDON,
    RELAY_ANSWER,
    RELAY_ERROR,
    RELAY_CLOSE, /* the server */
};

struct http_front;
struct http_relayed;

struct relay_letter {
    struct letter letter;
    struct http_relayed *about; /* NULL: the server */
    enum relay_word word;
};

/* A letter with something in it, which is freed by who reads it. */
struct relay_parcel {
    struct relay_letter letter;
    enum err_code code;        /* RELAY_ERROR; its detail is the answer's body */
    struct http_answer answer; /* texts in `slice` or behind the parcel */
    struct buffer slice;
};

struct relay_call {
    struct http_request request;
    char texts[];
};

struct http_relayed {
    bool is_relayed; /* first, as in struct http_exchange: true */
    bool is_head;
    struct http_front *front;
    union address address;
    _Atomic unsigned holds;
    _Atomic uint64_t taken; /* bytes of the stream by the socket */

    struct http_exchange *local; /* the thread's; NULL: given back */
    bool is_pulled;              /* the thread's */

    enum http_phase phase; /* the owner's, from here on */
    bool owned;            /* he has not given it back */
    bool has_left;         /* the client */
    bool broken;           /* there was no memory for a stream's head */
    loop_fn *gone;
    void *gone_ctx;
    http_pull_fn *pull; /* NULL: no pulled answer is under way */
    loop_fn *pull_done;
    void *pull_ctx;
    uint64_t sent; /* bytes of the stream */
    struct relay_call *call;

    struct relay_letter word; /* RELAY_REQUEST, later the last word if it is no parcel */
    struct relay_letter left, room;
    size_t fields_size;
    char fields[]; /* name, NUL, value, NUL, and so on */
};

/* A thread. */
struct http_front {
    struct http_relay *relay;
    unsigned number;
    pthread_t thread;
    struct mailbox up, down; /* to the owner, to the thread */
    int bell;                /* of `down` */
    struct relay_letter close, closed;
    int64_t grace_ms;
    struct letter *unread; /* the owner's: taken from `up` */
    bool is_running;       /* the owner's; false: joined, or never started */

    struct loop *loop; /* the thread's, from here on */
    struct http_server *http;
    uv_poll_t bell_poll;
    struct text wanted; /* address; borrowed while it starts */
    struct err err;     /* why it did not start */
    pthread_mutex_t start_lock;
    pthread_cond_t start_told;
    bool has_started, has_failed; /* behind start_lock */

    _Atomic uint64_t accepted, refused, expired, errors; /* as of its last round */
};

struct http_relay {
    struct http_server *server; /* the owner's */
    int bell;                   /* of all `up` */
    uv_poll_t bell_poll;
    _Atomic unsigned connections_open;
    bool is_closing, is_over;
    unsigned count, closed_count;
    struct http_front fronts[];
};

/* http_relay.c: what http_server.c hands on. */
bool http_relay_open(struct loop *loop, struct text address,
                     const struct http_server_options *options, const struct http_handler *handler,
                     struct http_server **ret, struct err *err);
void http_relay_close(struct http_server *server, int64_t grace_ms);
struct http_server_stats http_relay_stats(const struct http_server *server);
/* The owner has given one back. */
void http_relay_finish_close(struct http_relay *relay);

/* http_front.c */
/* False: the thread could not start, *err says why, and it is gone. */
bool http_front_start(struct http_front *front, struct text address, struct err *err);
void http_front_join(struct http_front *front);

/* http_relayed.c: the functions of http_server.h for exchanges that were relayed. */
static inline struct http_relayed *http_relayed(const struct http_exchange *x)
{
    return (struct http_relayed *)(void *)x;
}
void http_relayed_on_gone(struct http_relayed *r, loop_fn *gone, void *ctx);
struct text http_relayed_field(const struct http_relayed *r, const char *name);
void http_relayed_answer(struct http_relayed *r, const struct http_answer *answer);
void http_relayed_answer_error(struct http_relayed *r, int status, enum err_code code,
                               const char *detail);
void http_relayed_abandon(struct http_relayed *r);
void http_relayed_answer_pull(struct http_relayed *r, const struct http_answer *answer,
                              http_pull_fn *pull, loop_fn *done, void *ctx);
void http_relayed_stream_open(struct http_relayed *r, const struct http_answer *head);
bool http_relayed_stream_send(struct http_relayed *r, struct text text);
size_t http_relayed_stream_waiting(const struct http_relayed *r);
void http_relayed_stream_end(struct http_relayed *r);
/* Letters from the thread. */
void http_relayed_pull_more(struct http_relayed *r);
void http_relayed_client_left(struct http_relayed *r);
void http_relayed_drop(struct http_relayed *r); /* a hold */
/* A letter to the thread was read, or nobody will read it. */
void http_relayed_discard(struct relay_letter *letter);

#endif
