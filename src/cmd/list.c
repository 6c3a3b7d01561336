/* SPDX-License-Identifier: Apache-2.0
 * list.c - see list.h. Each page is printed before the next is fetched, so that a million items
 * need the memory of one page. */
#include "cmd/list.h"

#include "base/cleanup.h"

#define PAGE_ITEMS  1000
#define CURSOR_SIZE 1024
#define OUT_MAX     ((size_t)256 << 20)

struct listing {
    struct client *client;
    const struct list_view *view;
    uint64_t left, shown; /* still wanted; so far */
    char cursor[CURSOR_SIZE];
    struct table table;
    struct document_list documents;
    struct buffer out;
};

static enum exit_code fetch_page(struct listing *listing)
{
    char limit[32];
    cleanup(path_release) struct path path = { 0 };
    path_init(&path, listing->view->path);
    struct request whole = { .method = "GET", .path = listing->view->path };
    if (listing->view->is_whole)
        return client_ask(listing->client, &whole);
    snprintf(limit, sizeof limit, "%llu",
             (unsigned long long)(listing->left < PAGE_ITEMS ? listing->left : PAGE_ITEMS));
    path_add_parameter(&path, "limit", text_from(limit));
    path_add_parameter(&path, "cursor", text_from(listing->cursor));
    struct request request = { .method = "GET", .path = buffer_c_string(&path.text) };
    return client_ask(listing->client, &request);
}

static void add_items(struct listing *listing)
{
    const struct list_view *view = listing->view;
    const struct json_node *item = json_first(json_member(listing->client->root, view->key));
    int64_t now_ms = wall_now_ms();
    for (; item && listing->left > 0; item = item->next) {
        if (view->wants && !view->wants(view->ctx, item))
            continue;
        if (output_is_table(listing->client->format))
            view->add_row(&listing->table, item, now_ms);
        else
            document_list_add(&listing->documents, item);
        listing->left--;
        listing->shown++;
    }
    if (output_is_table(listing->client->format)) {
        struct terminal terminal = terminal_of(stdout);
        table_print(&listing->table, &terminal, &listing->out);
    }
}

/* False: that was the last page, or there is no more room. */
static bool turn_page(struct listing *listing)
{
    struct text cursor = json_get_text(listing->client->root, "next_cursor", TEXT_NONE);
    bool written = terminal_write(stdout, &listing->out);
    buffer_clear(&listing->out);
    if (!written || cursor.size == 0 || cursor.size >= CURSOR_SIZE ||
        text_equal(cursor, text_from(listing->cursor)))
        return false;
    snprintf(listing->cursor, CURSOR_SIZE, "%.*s", TEXT_ARG(cursor));
    return listing->left > 0;
}

static void remark_rest(const struct listing *listing)
{
    const struct json_node *root = listing->client->root;
    int64_t total = json_get_i64(root, "total", 0);
    if (listing->left > 0 || json_get_text(root, "next_cursor", TEXT_NONE).size == 0)
        return;
    if (total > 0)
        remark("%llu of %lld %s; --limit 0 lists all", (unsigned long long)listing->shown,
               (long long)total, listing->view->things);
    else
        remark("the first %llu %s; --limit 0 lists all", (unsigned long long)listing->shown,
               listing->view->things);
}

enum exit_code list_print(struct client *client, const struct list_view *view)
{
    struct listing listing = { .client = client,
                               .view = view,
                               .left = view->limit > 0 ? view->limit : UINT64_MAX };
    enum exit_code code;
    buffer_init(&listing.out, &memory_heap, OUT_MAX);
    table_init(&listing.table, view->columns, view->column_count, client->format == OUTPUT_WIDE);
    document_list_begin(&listing.documents, &listing.out, client->format, view->name_key);
    do {
        code = fetch_page(&listing);
        if (code == EXIT_DONE)
            add_items(&listing);
    } while (code == EXIT_DONE && turn_page(&listing));
    if (code == EXIT_DONE) {
        document_list_end(&listing.documents);
        terminal_write(stdout, &listing.out);
        remark_rest(&listing);
    }
    table_release(&listing.table);
    buffer_release(&listing.out);
    return code;
}
