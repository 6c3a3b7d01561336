/* SPDX-License-Identifier: Apache-2.0
 * show.c - see show.h. */
#include "cmd/show.h"

#include "base/cleanup.h"
#include "cmd/record.h"

#include <stdarg.h>
#include <unistd.h>

#define SHOW_MAX ((size_t)64 << 20)

enum exit_code show_record(const struct client *client, const struct json_node *record)
{
    cleanup(buffer_release) struct buffer out = { 0 };
    struct terminal terminal = terminal_of(stdout);
    buffer_init(&out, &memory_heap, SHOW_MAX);
    if (output_is_table(client->format))
        record_add(&out, record, wall_now_ms(), &terminal, client->format == OUTPUT_WIDE);
    else
        document_add_one(&out, client->format, record, "id");
    return terminal_write(stdout, &out) ? EXIT_DONE : EXIT_OTHER;
}

enum exit_code show_change(const struct client *client, const struct json_node *record)
{
    cleanup(buffer_release) struct buffer out = { 0 };
    if (!output_is_table(client->format))
        return show_record(client, record);
    buffer_init(&out, &memory_heap, SHOW_MAX);
    record_add_summary(&out, record);
    buffer_add_byte(&out, '\n');
    return terminal_write(stdout, &out) ? EXIT_DONE : EXIT_OTHER;
}

enum exit_code show_until_ended(struct client *client, const char *id, int64_t timeout_ms,
                                bool ends_when_stopped)
{
    bool is_table = output_is_table(client->format);
    struct watch_options options = { .timeout_ms = timeout_ms,
                                     .ends_when_stopped = ends_when_stopped,
                                     .is_wide = client->format == OUTPUT_WIDE,
                                     .stream = is_table ? stdout : stderr };
    enum exit_code code = watch_rollout(client, id, &options);
    if (!is_table && client->root && client->status >= 200 && client->status <= 299)
        show_record(client, client->root);
    return code;
}

bool confirm(bool is_sure, const char *format, ...)
{
    char question[256], answer[16] = "";
    va_list list;
    if (is_sure || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return true;
    va_start(list, format);
    vsnprintf(question, sizeof question, format, list);
    va_end(list);
    fprintf(stderr, "%s [y/N] ", question);
    fflush(stderr);
    if (fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
        return true;
    remark("nothing was changed");
    return false;
}
