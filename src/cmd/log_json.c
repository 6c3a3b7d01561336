/* SPDX-License-Identifier: Apache-2.0
 * log_json.c - see log_json.h. */
#include "cmd/log_json.h"

#include "base/cleanup.h"
#include "base/format.h"
#include "cmd/terminal.h"
#include "wire/json_write.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES ((size_t)256 * 1024)

static const char *level_word(enum log_level level)
{
    switch (level) {
    case LOG_DEBUG_: return "debug";
    case LOG_INFO_: return "info";
    case LOG_WARNING_: return "warning";
    case LOG_ERROR_: return "error";
    }
    return "error";
}

static bool is_secret(struct text name)
{
    static const char *const words[] = { "token", "credential", "password", "secret",
                                         "authorization" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct text word = text_from(words[i]);
        for (size_t at = 0; at + word.size <= name.size; at++)
            if (text_equal_nocase((struct text){ name.data + at, word.size }, word))
                return true;
    }
    return false;
}

static struct text shown(const struct log_field *field)
{
    return is_secret(text_from(field->name)) ? TEXT("***") : field->value;
}

void log_json_line(struct buffer *out, int64_t now_ms, enum log_level level, const char *message,
                   const struct log_field *fields)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_put_time(&w, "time", now_ms);
    json_put_text(&w, "level", text_from(level_word(level)));
    json_put_text(&w, "message", text_from(message));
    for (; fields && fields->name; fields++) {
        json_key_text(&w, text_from(fields->name));
        json_write_text(&w, shown(fields));
    }
    json_end_object(&w);
    buffer_add_byte(out, '\n');
}

/* In quotes where its end could not be seen otherwise. */
static void add_value(struct buffer *out, struct text value)
{
    bool is_bare = value.size > 0;
    for (size_t i = 0; i < value.size; i++)
        is_bare = is_bare && value.data[i] != ' ' && value.data[i] != '"' && value.data[i] != '=';
    buffer_add(out, is_bare ? TEXT("") : TEXT("\""));
    terminal_add(out, value);
    buffer_add(out, is_bare ? TEXT("") : TEXT("\""));
}

void log_human_line(struct buffer *out, int64_t now_ms, enum log_level level, const char *message,
                    const struct log_field *fields)
{
    struct sentence time;
    sentence_init(&time);
    format_time(&time.buffer, now_ms);
    struct text clock = text_skip(buffer_text(&time.buffer), sizeof "2031-01-01T" - 1);
    buffer_add(out, (struct text){ clock.data, sizeof "10:00:00" - 1 });
    buffer_printf(out, "Z %s ", level_word(level));
    terminal_add(out, text_from(message));
    for (; fields && fields->name; fields++) {
        buffer_add_byte(out, ' ');
        terminal_add(out, text_from(fields->name));
        buffer_add_byte(out, '=');
        add_value(out, shown(fields));
    }
    buffer_add_byte(out, '\n');
}

static void write_all(int fd, struct text t)
{
    while (t.size) {
        ssize_t written = write(fd, t.data, t.size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        t = text_skip(t, (size_t)written);
    }
}

static int64_t wall_ms(void)
{
    struct timespec now = { 0 };
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec < 0 ? 0 : now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static void write_record(void *self, enum log_level level, const char *message,
                         const struct log_field *fields)
{
    const struct log_json *log = self;
    if (level == LOG_DEBUG_)
        return;
    cleanup(buffer_release) struct buffer line = { 0 };
    buffer_init(&line, &memory_heap, LINE_MAX_BYTES);
    if (log->is_human)
        log_human_line(&line, wall_ms(), level, message, fields);
    else
        log_json_line(&line, wall_ms(), level, message, fields);
    if (line.failed)
        write_all(log->fd,
                  TEXT("{\"level\":\"error\",\"message\":\"no memory for a line of the log\"}\n"));
    else
        write_all(log->fd, buffer_text(&line));
}

void log_json_init(struct log_json *log, int fd)
{
    *log = (struct log_json){ .fd = fd, .is_human = isatty(fd) == 1 };
}

struct log_port log_json_port(struct log_json *log)
{
    return (struct log_port){ .write = write_record, .self = log };
}
