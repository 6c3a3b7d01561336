/* SPDX-License-Identifier: Apache-2.0
 * http_queue.c - see http_queue.h. */
#include "net/http_queue.h"

/* Copies `t` to *space, moves *space behind it, and returns the copy. */
static struct text copy_text(char **space, struct text t)
{
    if (t.size == 0)
        return TEXT_NONE;
    memcpy(*space, t.data, t.size);
    struct text copy = { *space, t.size };
    *space += t.size;
    return copy;
}

static void copy_call(const struct call *call, char *space, struct call *ret)
{
    size_t method_size = strlen(call->method) + 1;
    memcpy(space, call->method, method_size);
    ret->method = space;
    space += method_size;
    ret->path = copy_text(&space, call->path);
    ret->body = copy_text(&space, call->body);
    ret->bearer = copy_text(&space, call->bearer);
    ret->idempotency_key = copy_text(&space, call->idempotency_key);
    ret->if_match = copy_text(&space, call->if_match);
    ret->timeout_ms = call->timeout_ms;
}

bool http_queue_add(struct http_queue *queue, const struct call *call, int64_t deadline_ms,
                    call_done_fn *done, void *ctx)
{
    size_t size = strlen(call->method) + 1 + call->path.size + call->body.size + call->bearer.size +
                  call->idempotency_key.size + call->if_match.size;
    struct waiting_call *waiting = malloc(sizeof *waiting + size);
    if (!waiting)
        return false;
    *waiting = (struct waiting_call){ .deadline_ms = deadline_ms, .done = done, .ctx = ctx };
    copy_call(call, (char *)(waiting + 1), &waiting->call);
    if (queue->last)
        queue->last->next = waiting;
    else
        queue->first = waiting;
    queue->last = waiting;
    queue->count++;
    return true;
}

struct waiting_call *http_queue_take(struct http_queue *queue)
{
    struct waiting_call *waiting = queue->first;
    if (!waiting)
        return NULL;
    queue->first = waiting->next;
    if (!queue->first)
        queue->last = NULL;
    queue->count--;
    waiting->next = NULL;
    return waiting;
}

struct waiting_call *http_queue_take_late(struct http_queue *queue, int64_t now_ms)
{
    struct http_queue kept = { 0 };
    struct waiting_call *late = NULL, **late_end = &late, *waiting;
    while ((waiting = http_queue_take(queue))) {
        if (waiting->deadline_ms <= now_ms) {
            *late_end = waiting;
            late_end = &waiting->next;
            continue;
        }
        if (kept.last)
            kept.last->next = waiting;
        else
            kept.first = waiting;
        kept.last = waiting;
        kept.count++;
    }
    *queue = kept;
    return late;
}
