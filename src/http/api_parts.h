/* SPDX-License-Identifier: Apache-2.0
 * api_parts.h - what the files of the API share; nobody else includes it. */
#ifndef DIDES_HTTP_API_PARTS_H
#define DIDES_HTTP_API_PARTS_H

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/octaves.h"
#include "base/timers.h"
#include "http/api.h"
#include "wire/json_write.h"
#include "wire/shape.h"
#include "wire/view.h"

#define API_PARTS_MAX  2 /* variable parts of a path */
#define API_PARAMS_MAX 16
#define API_BODY_MAX   ((size_t)64 << 20) /* of an answer: a page of the largest list fits */

struct api_call;

/* A success, for the reference of the API. */
struct route_answer {
    int status; /* 0: no more */
    const char *meaning;
    const struct shape *shape; /* of its JSON, or NULL */
    const char *type;          /* of an answer that is no JSON, or NULL */
};
#define ROUTE_ANSWERS_MAX 2

enum route_flag {
    ROUTE_WRITES = 1,   /* api_is_writable() is asked */
    ROUTE_RESTS = 2,    /* its answer waits until what it says is durable, or is dropped */
    ROUTE_TAGGED = 4,   /* answers carry an ETag */
    ROUTE_MATCHED = 8,  /* If-Match is looked at */
    ROUTE_STREAMS = 16, /* Last-Event-ID is looked at */
    ROUTE_CACHED = 32,  /* If-None-Match is looked at */
};

/* An error that a route may answer with. Those that follow from the rest of the row are not said
 * again: see route_errors(). */
#define ROUTE_ERR(code) (1ull << (code))

struct route {
    const char *method;
    const char *path; /* "/deploy/{id}/pause": a part in braces takes any value */
    void (*handle)(struct api_call *call);
    size_t body_limit;
    enum verb verb;      /* of the routes of verbs */
    const char *params;  /* known query parameters, separated by blanks; others are refused */
    const char *summary; /* one clause for the reference */
    const char *name;    /* of the operation, unique */
    const char *tag;
    const struct json_table *body; /* NULL: a body is not looked at */
    const char *example;           /* of the body, JSON */
    unsigned flags;
    uint64_t errors;
    struct route_answer answers[ROUTE_ANSWERS_MAX];
};

extern const struct route routes[];
extern const size_t route_count;

/* Every error that the route may answer with, one bit for each. */
uint64_t route_errors(const struct route *route);

/* A parameter in the path or the query. What one name means may differ from path to path. */
struct param {
    const char *path;     /* NULL: wherever no other row says more */
    const char *fallback; /* its default as JSON, or NULL */
    struct shape_field field;
};
/* NULL: there is none of that name. */
const struct param *param_find(const struct route *route, struct text name);

/* Status codes that are counted; others count as the last one. */
/* clang-format off */
#define API_CODES(X)                                                                               \
    X(200)                                                                                         \
    X(201) X(204) X(304) X(400) X(401) X(403) X(404) X(405) X(409) X(410) X(412) X(413) X(422) X(429)     \
        X(500) X(503)
/* clang-format on */
#define API_CODE_COUNT 17

struct route_stats {
    uint64_t by_code[API_CODE_COUNT + 1];
    struct octaves us;
};

/* Header fields of an answer; an empty one is left out. With them goes what is counted of it. */
struct api_fields {
    char location[24];
    char etag[24];
    char allow[48];
    bool is_replayed, is_retryable;
    uint32_t retry_after_s; /* of a retryable one; 0: 1 */
    uint64_t held_us;       /* for which it waited for news */
};

/* An answer that waits until what it says is durable. */
struct pending {
    struct engine_waiter waiter; /* first: the waiter is the pending answer */
    struct pending *next_free;
    struct api *api;
    struct http_exchange *x;
    const struct route *route;
    struct buffer body;
    const char *content_type;
    struct api_fields fields;
    int status;
    int64_t began_us;
};

struct stream;
struct backup;
struct poll;

/* Heartbeats whose reply is held, at most one for each instance. */
struct polls {
    struct poll **by_slot;
    uint32_t capacity, count;
    struct timers due; /* by slot, in ticks of the loop */
    struct loop_timer *timer;
};

struct reply;

/* Answers that are kept for requests with an Idempotency-Key. */
struct replies {
    struct reply *first, **last; /* by time */
    struct reply **by_id;
    uint32_t capacity, count;
    struct map keys; /* to ids */
    size_t bytes;
};

struct api {
    struct engine *engine;
    struct loop *loop;
    const struct http_server *server;
    struct arena arena; /* of the present call */
    struct buffer body; /* of the present call */
    struct pending *free_pending;
    struct polls polls;
    struct replies replies;
    struct auth auth;
    struct stream *streams;
    unsigned stream_count;
    unsigned backup_count; /* being made, sent, or given back */
    struct backup *backups;
    struct plan *making; /* in a process of its own, or NULL */
    struct plan *plans;  /* that wait for their turn */
    unsigned plan_count;
    struct loop_timer *beat;   /* comment lines for streams */
    struct loop_timer *resume; /* while streams wait for their readers; else NULL */
    struct buffer openapi;     /* the document about all this, once somebody asked for it */
    char openapi_tag[24];
    struct route_stats *stats;   /* by route, and one more for requests without a route */
    struct octaves heartbeat_us; /* until the answer, without the time for which it was held */
    uint64_t process;            /* random: what sessions of this process are told from others by */
    bool is_stopping;
};

struct api_param {
    struct text name, value;
};

/* One request while its handler runs. */
struct api_call {
    struct api *api;
    struct http_exchange *x;
    const struct http_request *request;
    const struct route *route;
    struct text parts[API_PARTS_MAX]; /* decoded values of the parts in braces */
    size_t part_count;
    struct api_param params[API_PARAMS_MAX];
    size_t param_count;
    struct json_writer w; /* over api->body, empty */
    struct err err;
    uint64_t oldest;          /* of ERR_GONE: the oldest journal index still kept */
    struct text key;          /* its Idempotency-Key, when the reply is to be kept */
    uint64_t sum[2];          /* of the request with that key */
    bool is_secret;           /* the answer holds a secret: it is kept sealed */
    struct rollout *conflict; /* the rollout that an error is about, or NULL */
    struct api_fields fields; /* of the answer */
    int64_t began_us;
};

/* Ends the call with what was written into call->w. The answer goes out when `round` is durable, at
 * once when it is 0. */
void api_reply(struct api_call *call, int status, uint64_t round);
void api_reply_as(struct api_call *call, int status, uint64_t round, const char *content_type);
/* Ends the call with call->err as a problem document. A refusal that rests on the state waits, as
 * an answer does, until that state is durable. */
void api_fail(struct api_call *call);

/* The object that the call is about has this generation: the answer's ETag. */
void api_tag(struct api_call *call, uint32_t generation);
/* Whether a list of ETags, as of If-Match, has this one, or "*". */
bool api_lists_tag(struct text list, const char *tag);
/* False with call->err (ERR_PRECONDITION) when the client asked by If-Match for another one. */
bool api_matches(struct api_call *call, uint32_t generation);

/* The value of a query parameter; false when it was not given. */
bool api_param(const struct api_call *call, const char *name, struct text *ret);
/* A number from 1 to `max`; `otherwise` when not given. False with call->err. */
bool api_param_count(struct api_call *call, const char *name, uint64_t max, uint64_t otherwise,
                     uint64_t *ret);
/* The instance or rollout named by part 0 of the path; FLEET_NONE or NULL with call->err. */
uint32_t api_instance(struct api_call *call);
struct rollout *api_rollout(struct api_call *call);
/* False with call->err while the store takes no writes. */
bool api_is_writable(struct api_call *call);
/* The same for commands after engine_begin_freeing(). */
bool api_is_freeable(struct api_call *call);

/* Returns the time that it took, in us. */
uint64_t api_count(struct api *api, const struct route *route, int status, int64_t began_us);
int64_t api_now_us(void);

/* events.c */
void stream_open(struct api_call *call);
void streams_beat(void *api);
void streams_end(struct api *api);

/* polls.c */
bool polls_open(struct api *api, struct err *err);
void polls_end(struct api *api);   /* answers all of them */
void polls_close(struct api *api); /* after polls_end() */
/* Holds the reply of this call for at most `wait_ms`. False: no memory, or stopping; answer now. */
bool polls_hold(struct api_call *call, uint32_t slot, int64_t wait_ms);
/* Answers the one held for this instance, if any: it was removed, or another request came. */
void polls_release(struct api *api, uint32_t slot);

/* replies.c */
#define REPLIES_PREFIX ENGINE_OTHER_PREFIX "reply/"
void replies_open(struct api *api);
bool replies_load(struct api *api, struct text value, struct err *err);
void replies_close(struct api *api);
void replies_expire(struct api *api);
bool replies_answer(struct api_call *call);
uint64_t replies_keep(struct api_call *call, int status);
void replies_forget(struct api *api, uint64_t round);

/* plan.c */
void plans_end(struct api *api);   /* answers all that wait */
void plans_close(struct api *api); /* after the engine was freed */
/* The hash of the plan for this request as things are now. O(fleet). ERR_MEMORY. */
bool plan_hash(const struct fleet *fleet, const struct deploy_command *command,
               char ret[static LIMIT_PLAN_HASH + 1], struct err *err);
/* D2: false (ERR_PRECONDITION) when the request names the hash of another plan. */
bool plan_holds(const struct fleet *fleet, const struct deploy_command *command, struct err *err);

/* metrics.c */
void metrics_write(struct api *api, struct buffer *out);

/* Handlers. */
void inventory_register(struct api_call *call);
void inventory_list(struct api_call *call);
void inventory_show(struct api_call *call);
void inventory_delete(struct api_call *call);
void inventory_heartbeat(struct api_call *call);
void deploy_create(struct api_call *call);
void deploy_list(struct api_call *call);
void deploy_status(struct api_call *call);
void deploy_show(struct api_call *call);
void deploy_progress(struct api_call *call);
void deploy_rollback(struct api_call *call);
void deploy_verb(struct api_call *call);
void deploy_plan(struct api_call *call);
void backups_close(struct api *api);
void backup_create(struct api_call *call);
void backup_confirm(struct api_call *call);
void site_metrics(struct api_call *call);
void site_health(struct api_call *call);
void site_ready(struct api_call *call);
void site_openapi(struct api_call *call);
void site_root(struct api_call *call);

#endif
