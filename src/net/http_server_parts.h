/* SPDX-License-Identifier: Apache-2.0
 * http_server_parts.h - what the files of the HTTP server share; nobody else includes it.
 *   http_server.c     open, close
 *   http_tier.c       the running of libmicrohttpd
 *   http_accept.c     listening and accepting
 *   http_deadlines.c  which connection is late
 *   http_head.c       whether a head is what HTTP demands
 *   http_exchange.c   from bytes to a request, and its answer
 *   http_spare.c      responses that are used again
 *   http_stream.c     answers that come in pieces
 *   http_relay.h      connections on threads of their own, made of several such servers */
#ifndef DIDES_NET_HTTP_SERVER_PARTS_H
#define DIDES_NET_HTTP_SERVER_PARTS_H

#include "net/address.h"
#include "net/http_server.h"

#include <microhttpd.h>
#include <uv.h>

/* The wheel of deadlines: one list per tick. Every connection is looked at once a turn, which also
 * finds clients that said their last byte together with the end of their side: libmicrohttpd, which
 * stops reading at a short read, does not see that end. */
#define WHEEL_SLOTS 8
#define NEVER       INT64_MAX

#define HTTP_SPARE_SIZES 1024

struct http_connection {
    struct http_server *server;
    struct http_tier *tier;
    struct MHD_Connection *mhd; /* NULL until libmicrohttpd has taken it */
    struct http_exchange *exchange;
    struct http_connection *next, *previous; /* in its slot of the wheel */
    int64_t deadline_ms;                     /* in ticks of the loop */
    union address address;
    int fd; /* libmicrohttpd's; borrowed */
    unsigned slot;
};

enum http_phase {
    HTTP_READING, /* head or body on their way in */
    HTTP_OWNED,   /* the owner thinks */
    HTTP_SENDING, /* a whole or pulled answer is on its way out */
    HTTP_STREAMING,
};

struct http_exchange {
    bool is_relayed; /* first: true for what is a struct http_relayed in truth */
    struct http_server *server;
    struct http_connection *connection; /* NULL: closed, or it went on to its next request */
    struct http_exchange *next_free;
    struct http_spare *spare; /* what is being sent, or NULL */
    const char *method;       /* in libmicrohttpd's memory */
    struct text target;       /* likewise; good until the head is checked */
    struct buffer url, body;
    struct buffer out; /* of streams and pulls: what waits to be sent, from `out_sent` on */
    size_t out_sent;
    enum http_phase phase;
    bool owned;     /* the owner has not given it back */
    bool head_seen; /* the head is checked */
    bool suspended; /* libmicrohttpd leaves the connection alone */
    bool in_call;   /* inside the handler */
    bool cut;       /* the connection is to be closed */
    bool told_gone;
    bool ended; /* no more will be added to `out` */

    size_t body_limit;
    uint64_t content_length; /* UINT64_MAX: chunked */
    uint64_t received;
    int64_t body_since_ms;
    enum err_code refusal; /* ERR_NONE: none */
    int refusal_status;
    const char *refusal_detail;

    loop_fn *gone;
    void *gone_ctx;
    void (*taken)(void *ctx, size_t size, size_t left); /* see http_on_taken() */
    void *taken_ctx;
    http_pull_fn *pull;
    loop_fn *pull_done;
    void *pull_ctx;
};

/* Bytes for the heads of a connection. */
enum http_size { HTTP_SMALL, HTTP_LARGE, HTTP_SIZES };

/* One daemon of libmicrohttpd, for some connections of one size. */
struct http_tier {
    struct http_server *server;
    struct http_tier *next;
    struct MHD_Daemon *daemon;
    enum http_size size;
    unsigned connections;
    bool is_fresh; /* a connection was added, whose first bytes are there */
    bool is_closing;
    uv_poll_t poll;
    uv_idle_t again;  /* libmicrohttpd has more to do without waiting for a socket */
    uv_timer_t later; /* it says so, but gets nowhere */
    unsigned handles; /* of these three, not closed yet */
};

enum http_port {
    HTTP_PORT_ALONE,
    HTTP_PORT_FIRST, /* must be free; others may share it later */
    HTTP_PORT_SHARED,
};

/* What a server is that is one of several with one port. */
struct http_part {
    enum http_port port;
    _Atomic unsigned *connections_open; /* of all; NULL: it is the only one */
};

struct http_server {
    struct http_relay *relay; /* NULL: connections are here; else only handler, options, address,
                                 exchanges, stats.requests and what closing needs are used */
    struct http_part part;
    uv_loop_t *uv;
    struct http_handler handler;
    struct http_server_options options;
    struct http_server_stats stats;

    uint64_t callbacks;      /* by libmicrohttpd, so far: whether it gets anywhere */
    struct http_tier *tiers; /* NULL: not open, or closed */

    int listen_fd, reserve_fd; /* the reserve is given up to answer when descriptors run out */
    uv_poll_t listen_poll;
    uv_timer_t accept_again;
    union address address;
    char address_text[ADDRESS_TEXT_SIZE];
    struct buffer busy_answer; /* the bare 503 */
    struct http_connection *arriving;

    struct http_connection *wheel[WHEEL_SLOTS];
    uint64_t tick; /* number of the next slot to look at */
    uv_timer_t ticker;

    struct http_spare *spares[HTTP_SPARE_SIZES]; /* by size of the body */
    unsigned spare_count;
    struct http_exchange *free_exchanges;
    unsigned free_exchange_count;
    unsigned exchanges; /* not free */

    bool accepting, closing, stopped;
    uv_timer_t grace;
    unsigned handles; /* of libuv, not closed yet */
    loop_fn *closed;
    void *closed_ctx;
};

/* http_server.c */
bool http_server_open_part(struct loop *loop, struct text address,
                           const struct http_server_options *options,
                           const struct http_handler *handler, const struct http_part *part,
                           struct http_server **ret, struct err *err);
/* Finishes a close once nothing is open any more. Not from inside libmicrohttpd. */
void http_finish_close(struct http_server *server);
void http_handle_closed(uv_handle_t *handle); /* data: the server */

/* http_tier.c */
/* The first tier of each size. False: *err says why; what was opened is still to be closed. */
bool http_tiers_open(struct http_server *server, struct err *err);
struct http_tier *http_tier_with_room(struct http_server *server, enum http_size size);
void http_tiers_trim(struct http_server *server); /* closes empty ones; not inside libmicrohttpd */
void http_tiers_close(struct http_server *server);
void http_run(struct http_tier *tier);
/* The same, from the loop before it blocks: for those inside a call, and after resuming, which
 * libmicrohttpd does not notice by itself. */
void http_run_soon(struct http_tier *tier); /* NULL: nothing */

/* http_accept.c */
bool http_listen(struct http_server *server, struct text address, struct err *err);
bool http_accept_start(struct http_server *server, struct err *err);
void http_accept_stop(struct http_server *server); /* closes the sockets and handles */
void http_on_connection(void *ctx, struct MHD_Connection *mhd, void **context,
                        enum MHD_ConnectionNotificationCode code);

/* http_deadlines.c */
int64_t http_now_ms(const struct http_server *server);
void http_wheel_add(struct http_connection *connection, int64_t due_ms);
void http_wheel_remove(struct http_connection *connection);
void http_on_tick(uv_timer_t *ticker);
/* Cuts every connection (`all`), or the idle ones. */
void http_cut_connections(struct http_server *server, bool all);

/* http_head.c */
/* Sets x->content_length (UINT64_MAX: chunked), or refuses. */
void http_check_head(struct http_exchange *x, const char *version, bool *ret_expects);
void http_refuse(struct http_exchange *x, int status, enum err_code code, const char *detail);

/* http_exchange.c */
void *http_on_url(void *ctx, const char *url, struct MHD_Connection *mhd);
enum MHD_Result http_on_request(void *ctx, struct MHD_Connection *mhd, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *size, void **state);
void http_on_completed(void *ctx, struct MHD_Connection *mhd, void **state,
                       enum MHD_RequestTerminationCode code);
void http_cut(struct http_exchange *x);         /* closes its connection soon */
void http_client_left(struct http_exchange *x); /* cuts, and tells the owner */
void http_resume(struct http_exchange *x);
void http_suspend(struct http_exchange *x);
void http_give_back(struct http_exchange *x); /* by the owner */
/* Puts the answer's fields on `response`, which may be NULL, and sends it; cuts on failure. */
void http_send_response(struct http_exchange *x, const struct http_answer *answer,
                        struct MHD_Response *response);
void http_free_exchanges(struct http_server *server);

/* http_spare.c */
/* One with this body, type and nothing else, for x alone until the answer is sent; borrowed. NULL:
 * there can be none, and the answer needs a response of its own. */
struct MHD_Response *http_spare_take(struct http_exchange *x, const struct http_answer *answer);
void http_spare_give(struct http_exchange *x); /* when it was sent, or never will be */
void http_spares_free(struct http_server *server);

/* http_stream.c */
/* Has `taken` called when the socket has taken `size` bytes of the stream and `left` still wait,
 * until the exchange is given back. It must not use the exchange. */
void http_on_taken(struct http_exchange *x, void (*taken)(void *ctx, size_t size, size_t left),
                   void *ctx);

#endif
