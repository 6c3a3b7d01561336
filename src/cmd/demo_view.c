/* SPDX-License-Identifier: Apache-2.0
 * demo_view.c - what the demo draws, and what it says to try next. */
#include "cmd/demo.h"

#include <errno.h>

#define LABEL_COLUMN 11
#define BAR_MAX      60
#define VERSIONS_MAX 3

static unsigned bar_columns(const struct panel *panel)
{
    unsigned width = panel->terminal.width ? panel->terminal.width : 80;
    unsigned room = width > LABEL_COLUMN + 2 ? width - LABEL_COLUMN - 2 : 1;
    return room < BAR_MAX ? room : BAR_MAX;
}

static void add_label(struct panel *panel, const char *label)
{
    panel_add(panel, PANEL_DIM, "%s", label);
    panel_move(panel, LABEL_COLUMN);
}

static void draw_head(struct demo *demo)
{
    struct panel *panel = &demo->panel;
    int64_t seconds = (demo_now(demo) - demo->started_at) / 1000;
    panel_end_line(panel);
    panel_add(panel, PANEL_STRONG, "dides demo");
    panel_move(panel, LABEL_COLUMN);
    panel_add(panel, PANEL_PLAIN, "%s", demo->url);
    panel_add(panel, PANEL_DIM, "  server pid %d  %02d:%02d", (int)demo->server.pid,
              (int)(seconds / 60), (int)(seconds % 60));
    panel_end_line(panel);
}

/* The fleet by the version that runs: the three most frequent ones, then the rest. */
static void draw_fleet(struct demo *demo)
{
    static const enum panel_style styles[VERSIONS_MAX] = { PANEL_GOOD, PANEL_BUSY, PANEL_PLAIN };
    static const enum panel_glyph glyphs[VERSIONS_MAX] = { PANEL_FULL, PANEL_HALF, PANEL_EMPTY };
    struct panel *panel = &demo->panel;
    struct http_fleet_counts counts = http_fleet_counts(demo->fleet);
    struct fleet_version versions[VERSIONS_MAX];
    struct panel_part parts[VERSIONS_MAX];
    uint32_t count = http_fleet_versions(demo->fleet, versions, VERSIONS_MAX);
    for (uint32_t i = 0; i < count; i++)
        parts[i] = (struct panel_part){ versions[i].count, styles[i], glyphs[i] };
    add_label(panel, "fleet");
    panel_bar(panel, bar_columns(panel), parts, count);
    panel_end_line(panel);
    panel_move(panel, LABEL_COLUMN);
    for (uint32_t i = 0; i < count; i++)
        panel_add(panel, styles[i], "%.*s %u   ", TEXT_ARG(versions[i].code),
                  (unsigned)versions[i].count);
    panel_add(panel, counts.failed ? PANEL_BAD : PANEL_DIM, "FAILED %u", (unsigned)counts.failed);
    panel_add(panel, PANEL_DIM, "   registered %u of %u", (unsigned)counts.registered,
              (unsigned)counts.instances);
    panel_end_line(panel);
}

/* The live rollout, else the newest one. */
static const struct sighting *shown_rollout(const struct demo *demo)
{
    const struct watcher *w = &demo->watcher;
    const struct sighting *live = watcher_first_live(w);
    if (live)
        return live;
    return w->count > 0 ? &w->list[w->count - 1].newest : NULL;
}

static enum panel_style style_of(const struct sighting *r)
{
    if (r->is_live)
        return PANEL_BUSY;
    return strcmp(r->status, "COMPLETED") == 0 ? PANEL_GOOD : PANEL_BAD;
}

static void draw_rollout_bar(struct panel *panel, const struct sighting *r)
{
    const struct panel_part parts[] = {
        { (uint64_t)r->completed, PANEL_GOOD, PANEL_FULL },
        { (uint64_t)r->in_progress, PANEL_BUSY, PANEL_HALF },
        { (uint64_t)r->failed, PANEL_BAD, PANEL_CROSS },
        { (uint64_t)r->pending, PANEL_DIM, PANEL_EMPTY },
    };
    panel_move(panel, LABEL_COLUMN);
    panel_bar(panel, bar_columns(panel), parts, sizeof parts / sizeof parts[0]);
    panel_end_line(panel);
    panel_move(panel, LABEL_COLUMN);
    panel_add(panel, PANEL_GOOD, "done %lld", (long long)r->completed);
    panel_add(panel, PANEL_DIM, " of %lld   ", (long long)r->total);
    panel_add(panel, PANEL_BUSY, "in progress %lld   ", (long long)r->in_progress);
    panel_add(panel, r->failed ? PANEL_BAD : PANEL_DIM, "failed %lld", (long long)r->failed);
    panel_add(panel, PANEL_DIM, " (threshold %u)",
              (unsigned)amount_up(r->threshold, (uint32_t)r->total));
    panel_end_line(panel);
}

static void draw_rollout(struct demo *demo)
{
    struct panel *panel = &demo->panel;
    const struct sighting *r = shown_rollout(demo);
    if (!r)
        return;
    add_label(panel, r->rollback_of ? "rollback" : "rollout");
    panel_add(panel, PANEL_STRONG, "r-%u  ", (unsigned)r->number);
    if (r->rollback_of)
        panel_add(panel, PANEL_PLAIN, "of r-%u  ", (unsigned)r->rollback_of);
    else
        panel_add(panel, PANEL_PLAIN, "to %s  ", r->code[0] ? r->code : r->config);
    panel_add(panel, style_of(r), "%s", r->status);
    if (r->cause[0])
        panel_add(panel, style_of(r), " (%s)", r->cause);
    panel_end_line(panel);
    draw_rollout_bar(panel, r);
    add_label(panel, "waiting");
    panel_add(panel, PANEL_PLAIN, "%s", r->is_live && r->waiting[0] ? r->waiting : "-");
    panel_end_line(panel);
}

void demo_draw(struct demo *demo)
{
    if (!panel_is_live(&demo->panel) || !demo->is_ready)
        return;
    panel_begin(&demo->panel);
    draw_head(demo);
    draw_fleet(demo);
    draw_rollout(demo);
    panel_show(&demo->panel);
}

/* ---- what next ------------------------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static void say(struct demo *demo, const char *format, ...)
{
    char said[512];
    va_list list;
    va_start(list, format);
    vsnprintf(said, sizeof said, format, list);
    va_end(list);
    demo_say(demo, PANEL_PLAIN, said);
}

/* Commands need to be told of the server only where it is not at its usual place. */
static const char *option_server(const struct demo *demo, char space[static 96])
{
    bool is_usual = strcmp(demo->url, "http://127.0.0.1:7420") == 0;
    snprintf(space, 96, " --server %s", demo->url);
    return is_usual ? "" : space;
}

void demo_tell_next(struct demo *demo)
{
    char space[96];
    const char *server = option_server(demo, space);
    const char *me = program_invocation_name; /* build/dides for who has not installed it */
    const char *version = demo->story.next_version[0] ? demo->story.next_version : "9.0.0";
    demo_say(demo, PANEL_STRONG, "It stays up until Ctrl-C. In another terminal, try:");
    say(demo, "  %s deploy --code %s --all --batch 10%%%s", me, version, server);
    say(demo, "  %s rollout --watch%s", me, server);
    say(demo, "  %s rollouts%s", me, server);
    say(demo, "  %s instances -l zone=a%s", me, server);
    say(demo, "  %s rollback%s", me, server);
    say(demo, "  curl %s/deploy/status", demo->url);
    say(demo, "  curl %s/inventory/instances/%s1", demo->url, DEMO_PREFIX);
    say(demo, "  curl -N %s/events", demo->url);
    say(demo, "  kill -9 %d        (the server; it is started again and goes on)",
        (int)demo->server.pid);
}
