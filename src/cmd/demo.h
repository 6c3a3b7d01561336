/* SPDX-License-Identifier: Apache-2.0
 * demo.h - `dides demo` put together: the server as a child, the fleet and the story on this
 * process's loop, the panel. demo.c has the command, demo_view.c what is drawn. */
#ifndef DIDES_CMD_DEMO_H
#define DIDES_CMD_DEMO_H

#include "cmd/demo_server.h"
#include "cmd/demo_story.h"
#include "cmd/panel.h"
#include "net/http_client.h"
#include "net/loop.h"
#include "sim/watcher.h"

struct demo {
    struct demo_server server;
    struct loop *loop;
    struct http_client *fleet_client, *client; /* the latter for story and watcher */
    struct plan plan;
    struct http_fleet *fleet;
    struct watcher watcher;
    struct story story;
    struct panel panel;
    char url[80];
    int64_t started_at;
    uint32_t restarts;
    uint32_t told_rollout; /* newest one whose start was told, once the story is over */
    bool is_once;
    bool is_ready, is_asking; /* the server answered; it is being asked */
    bool is_interrupted;
    bool has_told_next;
    struct err failure; /* why the demo cannot go on */
};

int64_t demo_now(const struct demo *demo);
void demo_say(void *ctx, enum panel_style style, const char *sentence);

/* Draws the panel anew. */
void demo_draw(struct demo *demo);
/* What the reader may do now. */
void demo_tell_next(struct demo *demo);

#endif
