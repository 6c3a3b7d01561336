/* SPDX-License-Identifier: Apache-2.0
 * facts.c - see facts.h. */
#include "cmd/facts.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "cmd/terminal.h"
#include "wire/json_write.h"

#define FACTS_MAX ((size_t)64 << 10)

static void write_json(struct buffer *out, const char *file, const struct store_sqlite_facts *facts)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_put_text(&w, "file", text_from(file));
    json_put_i64(&w, "format", facts->format);
    json_put_u64(&w, "term", facts->term);
    json_put_u64(&w, "commits", facts->commits);
    json_put_u64(&w, "keys", facts->rows);
    json_put_u64(&w, "bytes", facts->file_bytes);
    json_end_object(&w);
}

static void add_lines(struct buffer *out, const char *file, const struct store_sqlite_facts *facts)
{
    buffer_add(out, TEXT("file      "));
    terminal_add(out, text_from(file));
    buffer_printf(out,
                  "\nformat    %lld\nterm      %llu\ncommits   %llu\nkeys      %llu\n"
                  "bytes     %llu\n",
                  (long long)facts->format, (unsigned long long)facts->term,
                  (unsigned long long)facts->commits, (unsigned long long)facts->rows,
                  (unsigned long long)facts->file_bytes);
}

static void add_document(struct buffer *out, enum output_format format, const char *file,
                         const struct store_sqlite_facts *facts)
{
    cleanup(buffer_release) struct buffer json = { 0 };
    cleanup(arena_release) struct arena arena = { 0 };
    const struct json_node *root = NULL;
    buffer_init(&json, &memory_heap, FACTS_MAX);
    arena_init(&arena, &memory_heap, FACTS_MAX);
    write_json(&json, file, facts);
    if (!json.failed && json_tree_parse(buffer_text(&json), &arena, &root, NULL))
        document_add_one(out, format, root, "file");
    else
        out->failed = true;
}

enum exit_code facts_print(enum output_format format, const char *file,
                           const struct store_sqlite_facts *facts)
{
    cleanup(buffer_release) struct buffer out = { 0 };
    buffer_init(&out, &memory_heap, FACTS_MAX);
    if (output_is_table(format))
        add_lines(&out, file, facts);
    else
        add_document(&out, format, file, facts);
    return terminal_write(stdout, &out) ? EXIT_DONE : EXIT_OTHER;
}

enum exit_code facts_complain(const char *doing, const struct err *err)
{
    remark("%s: %s", doing, err->text);
    switch (err->code) {
    case ERR_NOT_FOUND: return EXIT_NOT_FOUND;
    case ERR_REFUSED: return EXIT_CONFLICT;
    default: return exit_of_err(err);
    }
}
