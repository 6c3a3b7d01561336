/* SPDX-License-Identifier: Apache-2.0
 * fuzz.c - see fuzz.h. */
#include "fuzz.h"

#include "wire/json_read.h"
#include "wire/json_write.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void fuzz_broken(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line, what);
    abort();
}

void fuzz_begin(struct fuzz *f)
{
    *f = (struct fuzz){ .err = { .code = ERR_NONE } };
    arena_init(&f->arena, &memory_heap, FUZZ_ROOM);
    buffer_init(&f->out, &memory_heap, FUZZ_ROOM);
    buffer_init(&f->again, &memory_heap, FUZZ_ROOM);
    buffer_init(&f->third, &memory_heap, FUZZ_ROOM);
}

void fuzz_end(struct fuzz *f)
{
    arena_release(&f->arena);
    buffer_release(&f->out);
    buffer_release(&f->again);
    buffer_release(&f->third);
}

void fuzz_claim_safe(struct text t)
{
    CLAIM(text_is_utf8(t));
    CLAIM(text_is_printable(t));
}

void fuzz_claim_error(const struct err *err, const enum err_code *codes)
{
    bool is_known = false;
    for (size_t i = 0; codes[i] != ERR_CODE_COUNT; i++)
        is_known |= err->code == codes[i];
    if (!is_known)
        fprintf(stderr, "%s: %s\n", err_word(err->code), err->text);
    CLAIM(is_known);
    CLAIM(err->text[0] != '\0');
    CLAIM(err->pointer[0] == '\0' || err->pointer[0] == '/');
    /* A pointer is exact, and may stand in the sentence; whoever shows it makes it safe. */
    CLAIM(text_is_utf8(text_from(err->text)));
    CLAIM(err->pointer[0] || text_is_printable(text_from(err->text)));
}

void fuzz_claim_equal(struct text a, struct text b)
{
    if (!text_equal(a, b))
        fprintf(stderr, "\"%.*s\"\nis not\n\"%.*s\"\n", TEXT_ARG(a), TEXT_ARG(b));
    CLAIM(text_equal(a, b));
}

struct text fuzz_part(struct text *rest, char separator)
{
    size_t at = text_find(*rest, separator);
    struct text part = { rest->data, at };
    *rest = text_skip(*rest, at + 1);
    return part;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void *new_struct(const struct json_table *table, struct fuzz *f)
{
    void *space = arena_take(&f->arena, table->size);
    CLAIM(space != NULL);
    if (table->init)
        table->init(space);
    return space;
}

static void write_struct(const struct json_table *table, const void *from, struct buffer *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_write_table(&w, table, from, JSON_ABSENT_IS_OMITTED);
    CLAIM(!out->failed);
}

bool fuzz_table(const struct json_table *table, struct text input)
{
    struct fuzz f;
    fuzz_begin(&f);
    struct json_warnings warnings = { .count = 0 };
    void *first = new_struct(table, &f), *second = new_struct(table, &f);
    bool was_read = json_read(table, input, &f.arena, first, &warnings, &f.err);
    if (was_read) {
        write_struct(table, first, &f.out);
        if (!json_read(table, buffer_text(&f.out), &f.arena, second, NULL, &f.err))
            fprintf(stderr, "%s at %s: %s\n", f.err.text, f.err.pointer, buffer_c_string(&f.out));
        CLAIM(f.err.code == ERR_NONE);
        write_struct(table, second, &f.again);
        fuzz_claim_equal(buffer_text(&f.out), buffer_text(&f.again));
        CLAIM(text_is_utf8(input));
    } else {
        CLAIM_ERROR(&f.err, ERR_BAD_JSON, ERR_UNKNOWN_KEY, ERR_INVALID, ERR_MEMORY);
    }
    CLAIM(warnings.count <= JSON_WARNINGS_MAX);
    for (uint32_t i = 0; i < warnings.count; i++)
        CLAIM(text_is_utf8(warnings.list[i]));
    fuzz_end(&f);
    return was_read;
}

/* ---- files ----------------------------------------------------------------------------------- */

static char folder[PATH_MAX / 2];

static void remove_folder(void)
{
    DIR *all = opendir(folder);
    struct dirent *entry;
    while (all && (entry = readdir(all)))
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(all), entry->d_name, 0);
    if (all)
        closedir(all);
    (void)rmdir(folder);
}

const char *fuzz_folder(void)
{
    if (folder[0])
        return folder;
    const char *base = getenv("TMPDIR");
    /* In memory where there is such a place: thousands of files a second are made there. */
    if (!base)
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    CLAIM(snprintf(folder, sizeof folder, "%s/dides-fuzz-XXXXXX", base) < (int)sizeof folder);
    CLAIM(mkdtemp(folder) != NULL);
    atexit(remove_folder);
    return folder;
}

const char *fuzz_file(const char *name, struct text bytes)
{
    static char path[PATH_MAX];
    CLAIM(snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name) < (int)sizeof path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CLAIM(fd >= 0);
    CLAIM(write(fd, bytes.data, bytes.size) == (ssize_t)bytes.size);
    close(fd);
    return path;
}
