/* SPDX-License-Identifier: Apache-2.0
 * tokens.c - see tokens.h. */
#include "cmd/tokens.h"

#include "base/cleanup.h"
#include "wire/json_write.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define FILE_MAX ((size_t)2 * LIMIT_TOKEN)

/* ---- checking ------------------------------------------------------------------------------- */

static const char *name_of(const struct setting_token *entry, char space[static ERR_EXCERPT_SIZE])
{
    return err_excerpt(entry->name, space);
}

static bool check_source(const struct setting_token *entry, struct err *err)
{
    char space[ERR_EXCERPT_SIZE];
    unsigned char hash[SECRET_HASH_SIZE];
    int sources = (entry->token.size > 0) + (entry->token_file.size > 0) + (entry->sha256.size > 0);
    if (sources != 1)
        return err_set(err, ERR_USAGE,
                       "registration_tokens: \"%s\" must have exactly one of token, token_file and "
                       "sha256",
                       name_of(entry, space));
    if (entry->sha256.size > 0 && !secret_from_hex(entry->sha256, hash))
        return err_set(err, ERR_USAGE,
                       "registration_tokens: the sha256 of \"%s\" must be 64 hexadecimal digits",
                       name_of(entry, space));
    return true;
}

static bool check_entry(const struct setting_token *entry, struct err *err)
{
    char space[ERR_EXCERPT_SIZE];
    struct err why = { .code = ERR_NONE };
    if (!token_name_is_sound(entry->name))
        return err_set(err, ERR_USAGE,
                       "registration_tokens: the name \"%s\" must be 1 to %d of A-Z a-z 0-9 - . _",
                       name_of(entry, space), TOKEN_NAME_MAX);
    if (entry->instances.size > 0 && !pattern_check(entry->instances, &why))
        return err_set(err, ERR_USAGE, "registration_tokens: instances of \"%s\" %s",
                       name_of(entry, space), why.text);
    return check_source(entry, err);
}

bool tokens_check(const struct setting_token *list, uint32_t count, struct err *err)
{
    char space[ERR_EXCERPT_SIZE];
    for (uint32_t i = 0; i < count; i++) {
        if (!check_entry(&list[i], err))
            return false;
        for (uint32_t j = 0; j < i; j++)
            if (text_equal(list[i].name, list[j].name))
                return err_set(err, ERR_USAGE,
                               "registration_tokens: the name \"%s\" is there twice",
                               name_of(&list[i], space));
    }
    return true;
}

/* ---- loading -------------------------------------------------------------------------------- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static void wipe(struct buffer *buffer)
{
    if (buffer->data)
        secret_wipe(buffer->data, buffer->size);
    buffer_release(buffer);
}

static bool slurp(int fd, struct buffer *out)
{
    char *space = buffer_reserve(out, FILE_MAX);
    size_t size = 0;
    while (space && size < FILE_MAX) {
        ssize_t got = read(fd, space + size, FILE_MAX - size);
        if (got < 0 && errno != EINTR)
            return false;
        if (got == 0)
            break;
        size += got > 0 ? (size_t)got : 0;
    }
    out->size = size;
    return space != NULL;
}

bool tokens_hash_file(struct text path, unsigned char ret[static SECRET_HASH_SIZE], struct err *err)
{
    char c_path[4096], space[ERR_EXCERPT_SIZE];
    snprintf(c_path, sizeof c_path, "%.*s", TEXT_ARG(path));
    cleanup(close_fd) int fd = open(c_path, O_RDONLY | O_CLOEXEC);
    cleanup(wipe) struct buffer bytes = { 0 };
    buffer_init(&bytes, &memory_heap, FILE_MAX);
    if (fd < 0 || !slurp(fd, &bytes))
        return err_set(err, ERR_USAGE, "cannot read the token in %s: %s", err_excerpt(path, space),
                       strerror(errno));
    struct text rest = buffer_text(&bytes), line = TEXT_NONE;
    text_cut(&rest, '\n', &line);
    line = text_trim(line);
    if (line.size < TOKEN_SIZE_MIN || line.size > LIMIT_TOKEN || !text_is_printable(line) ||
        !text_is_utf8(line))
        return err_set(err, ERR_USAGE,
                       "the first line of %s must be a token of %d to %d bytes without control "
                       "characters",
                       err_excerpt(path, space), TOKEN_SIZE_MIN, LIMIT_TOKEN);
    secret_hash(line, ret);
    return true;
}

static bool load_entry(const struct setting_token *entry, struct token_rule *ret, struct err *err)
{
    *ret = (struct token_rule){ .name = entry->name,
                                .pattern = entry->instances,
                                .expires_at = entry->expires };
    if (entry->token_file.size > 0)
        return tokens_hash_file(entry->token_file, ret->hash, err);
    if (entry->sha256.size > 0)
        return secret_from_hex(entry->sha256, ret->hash);
    secret_hash(entry->token, ret->hash);
    return true;
}

bool tokens_load(const struct setting_token *list, uint32_t count, struct token_rule *ret,
                 struct err *err)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!load_entry(&list[i], &ret[i], err))
            return false;
        for (uint32_t j = 0; j < i; j++)
            if (secret_equal(ret[i].hash, ret[j].hash))
                return err_set(err, ERR_USAGE,
                               "registration_tokens: \"%.*s\" and \"%.*s\" have the same token",
                               TEXT_ARG(list[j].name), TEXT_ARG(list[i].name));
    }
    return true;
}

/* ---- printing ------------------------------------------------------------------------------- */

static void print_hash(struct json_writer *w, struct text token)
{
    unsigned char hash[SECRET_HASH_SIZE];
    char hex[SECRET_HEX_SIZE + 1];
    secret_hash(token, hash);
    secret_to_hex(hash, hex);
    json_put_text(w, "sha256", text_from(hex));
}

static void print_entry(struct json_writer *w, const struct setting_token *entry)
{
    json_begin_object(w);
    json_put_text(w, "name", entry->name);
    if (entry->token.size > 0)
        print_hash(w, entry->token);
    if (entry->token_file.size > 0)
        json_put_text(w, "token_file", entry->token_file);
    if (entry->sha256.size > 0)
        json_put_text(w, "sha256", entry->sha256);
    if (entry->instances.size > 0)
        json_put_text(w, "instances", entry->instances);
    if (entry->expires != 0)
        json_put_time(w, "expires", entry->expires);
    json_end_object(w);
}

void tokens_print(const struct setting_token *list, uint32_t count, struct buffer *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_list(&w);
    for (uint32_t i = 0; i < count; i++)
        print_entry(&w, &list[i]);
    json_end_list(&w);
}
