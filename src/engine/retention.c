/* SPDX-License-Identifier: Apache-2.0
 * retention.c - the record "meta/marks": [[at,index],...]. */
#include "engine/retention.h"

#include "wire/json_pull.h"
#include "wire/json_write.h"

static void write_marks(const struct retention *retention, struct batch *batch)
{
    struct json_writer w;
    batch_begin(batch);
    buffer_add(&batch->bytes, TEXT(RETENTION_KEY));
    batch_value(batch);
    json_writer_init(&w, &batch->bytes);
    json_begin_list(&w);
    for (uint32_t i = 0; i < retention->count; i++) {
        json_begin_list(&w);
        json_write_i64(&w, retention->marks[i].at);
        json_write_u64(&w, retention->marks[i].index);
        json_end_list(&w);
    }
    json_end_list(&w);
    batch_end(batch);
}

void retention_mark(struct retention *retention, int64_t now, uint64_t next_index,
                    struct batch *batch)
{
    struct retention_mark *marks = retention->marks;
    int64_t every = retention->kept_ms / RETENTION_MARKS;
    if (retention->count > 0 && now - marks[retention->count - 1].at < every)
        return;
    /* The first of two marks that are both old enough says nothing more. */
    while (retention->count >= 2 && marks[1].at <= now - retention->kept_ms) {
        memmove(marks, marks + 1, (retention->count - 1) * sizeof marks[0]);
        retention->count--;
    }
    if (retention->count == RETENTION_MARKS + 1) {
        memmove(marks, marks + 1, RETENTION_MARKS * sizeof marks[0]);
        retention->count--;
    }
    marks[retention->count++] = (struct retention_mark){ .at = now, .index = next_index };
    write_marks(retention, batch);
}

uint64_t retention_oldest(const struct retention *retention, int64_t now)
{
    uint64_t oldest = 0;
    for (uint32_t i = 0; i < retention->count; i++)
        if (retention->marks[i].at <= now - retention->kept_ms)
            oldest = retention->marks[i].index;
    return oldest;
}

bool retention_load(struct retention *retention, struct text json, struct arena *scratch,
                    struct err *err)
{
    const struct json_node *root = NULL;
    if (!json_tree_parse(json, scratch, &root, err))
        return err_set(err, ERR_CORRUPT, "the stored record " RETENTION_KEY " is damaged");
    retention->count = 0;
    for (const struct json_node *pair = json_first(root); pair; pair = pair->next) {
        int64_t at = json_get_i64(pair, "0", 0);
        int64_t index = json_get_i64(pair, "1", 0);
        if (at <= 0 || index <= 0 || retention->count > RETENTION_MARKS)
            return err_set(err, ERR_CORRUPT, "the stored record " RETENTION_KEY " is damaged");
        retention->marks[retention->count++] =
            (struct retention_mark){ .at = at, .index = (uint64_t)index };
    }
    return true;
}
