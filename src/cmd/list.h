/* SPDX-License-Identifier: Apache-2.0
 * list.h - a list of the server, fetched page by page and printed in any output format. */
#ifndef DIDES_CMD_LIST_H
#define DIDES_CMD_LIST_H

#include "cmd/client.h"
#include "cmd/table.h"

struct list_view {
    const char *path;     /* with its filters, percent-encoded */
    const char *key;      /* of the list in the answer */
    const char *name_key; /* of an item's name, for -o name */
    const char *things;   /* what they are called in remarks */
    const struct table_column *columns;
    unsigned column_count;
    void (*add_row)(struct table *table, const struct json_node *item, int64_t now_ms);
    uint64_t limit; /* at most so many; 0: all */
    bool is_whole;  /* the route has no pages: it knows neither limit nor cursor */
    /* Whether an item is wanted, where the route has no such filter; NULL: all are. */
    bool (*wants)(void *ctx, const struct json_node *item);
    void *ctx;
};

#define LIST_LIMIT_ROW(type)                                                                       \
    {                                                                                              \
        .name = "limit", .kind = OPTION_COUNT, .offset = offsetof(type, limit), .argument = "N",   \
        .meaning = "list at most so many; 0 stands for all", .fallback = "1000"                    \
    }

enum exit_code list_print(struct client *client, const struct list_view *view);

#endif
