/* SPDX-License-Identifier: Apache-2.0
 * token.c - `dides token`: a fresh registration token, and its entry for the server. */
#include "base/cleanup.h"
#include "base/format.h"
#include "cmd/client.h"
#include "cmd/commands.h"
#include "cmd/exit_code.h"
#include "cmd/options.h"
#include "cmd/terminal.h"
#include "http/tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PRINT_MAX 4096

struct token_options {
    const char *file, *instances, *expires;
};

/* What the entry says. */
struct entry {
    const char *name;
    struct text pattern; /* empty: any */
    int64_t expires_at;  /* ms since the epoch; 0: never */
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* A new file that only we can read; what is there already is somebody's token. */
static bool write_token(const char *path, const char *token, struct err *err)
{
    char line[SECRET_TEXT_SIZE + 1];
    size_t size = (size_t)snprintf(line, sizeof line, "%s\n", token);
    cleanup(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool is_written = fd >= 0 && write(fd, line, size) == (ssize_t)size && fsync(fd) == 0;
    secret_wipe(line, sizeof line);
    return is_written ||
           err_set(err, ERR_IO, "cannot write the token to %s: %s", path, strerror(errno));
}

static void print_entry(struct buffer *out, const struct entry *entry, const char *token)
{
    unsigned char hash[SECRET_HASH_SIZE];
    char hex[SECRET_HEX_SIZE + 1];
    secret_hash(text_from(token), hash);
    secret_to_hex(hash, hex);
    buffer_printf(out,
                  "# For the server: an entry of registration_tokens.\n"
                  "registration_tokens:\n  - {name: \"%s\", sha256: \"%s\"",
                  entry->name, hex);
    if (entry->pattern.size > 0)
        buffer_printf(out, ", instances: \"%.*s\"", TEXT_ARG(entry->pattern));
    if (entry->expires_at != 0) {
        buffer_add(out, TEXT(", expires: "));
        format_time(out, entry->expires_at);
    }
    buffer_add(out, TEXT("}\n"));
}

static int make(const struct entry *entry, const char *file)
{
    struct err err = { .code = ERR_NONE };
    char token[SECRET_TEXT_SIZE];
    cleanup(buffer_release) struct buffer out = { 0 };
    buffer_init(&out, &memory_heap, PRINT_MAX);
    if (!secret_open(&err)) {
        remark("token: %s", err.text);
        return EXIT_OTHER;
    }
    secret_make(SECRET_TOKEN, token);
    if (file && !write_token(file, token, &err)) {
        secret_wipe(token, sizeof token);
        remark("token: %s", err.text);
        return EXIT_OTHER;
    }
    if (!file)
        buffer_printf(&out,
                      "# For agents: DIDES_TOKEN, or the first line of a file of mode 600 that "
                      "token_file names.\n# It is shown this once.\n# %s\n\n",
                      token);
    print_entry(&out, entry, token);
    secret_wipe(token, sizeof token);
    int code = terminal_write(stdout, &out) ? EXIT_DONE : EXIT_OTHER;
    if (out.data)
        secret_wipe(out.data, out.size);
    return code;
}

/* An instant, or how long from now. */
static bool take_expiry(const char *text, int64_t *ret, struct err *err)
{
    int64_t at, now = wall_now_ms();
    if (parse_duration(text_from(text), &at, NULL))
        at = now + at;
    else if (!parse_time(text_from(text), &at, NULL))
        return err_set(err, ERR_INVALID,
                       "--expires is a time such as 2031-01-01T00:00:00Z, or a duration from now "
                       "such as 7d");
    *ret = at;
    return at > now || err_set(err, ERR_INVALID, "--expires is over already");
}

/* The pattern stands between quotes in the entry. */
static bool take_pattern(const char *text, struct text *ret, struct err *err)
{
    struct err why = { .code = ERR_NONE };
    *ret = text_from(text);
    if (text_find(*ret, '"') < ret->size)
        return err_set(err, ERR_INVALID, "--instances cannot have a quote");
    return pattern_check(*ret, &why) || err_set(err, why.code, "--instances %s", why.text);
}

static int run(const struct command *command, int argc, char **argv)
{
    struct token_options options = { .file = NULL };
    struct operands operands;
    int code;
    if (!options_parse_few(command, argc, argv, 1, &options, &operands, &code))
        return code;
    const char *name = operands.count > 0 ? operands.list[0] : "agents";
    if (!token_name_is_sound(text_from(name)))
        return wrong_usage(command, "the name must be 1 to %d of A-Z a-z 0-9 - . _",
                           TOKEN_NAME_MAX);
    struct entry entry = { .name = name };
    struct err err = { .code = ERR_NONE };
    if ((options.instances && !take_pattern(options.instances, &entry.pattern, &err)) ||
        (options.expires && !take_expiry(options.expires, &entry.expires_at, &err)))
        return wrong_usage(command, "%s", err.text);
    return make(&entry, options.file);
}

static const struct option_row rows[] = {
    { .name = "file",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct token_options, file),
      .argument = "FILE",
      .meaning = "write the token into this new file of mode 600 instead of showing it" },
    { .name = "instances",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct token_options, instances),
      .argument = "PATTERN",
      .meaning = "only for instances of these names: * is any text, ? one character" },
    { .name = "expires",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct token_options, expires),
      .argument = "TIME",
      .meaning = "until then, or for a duration from now such as 7d" },
};
static const char *const synopsis[] = {
    "[NAME] [--file FILE] [--instances PATTERN] [--expires TIME]", NULL
};
static const char *const details[] = {
    "Makes a registration token of 256 random bits, and prints the entry of registration_tokens "
    "that lets a server know it: NAME, which log and journal show, and the token's SHA-256. The "
    "server needs no more, so that the token itself need not stand in its settings.",
    "Agents exchange the token for a credential of their own when they register. Whoever has the "
    "token can register instances, so give different tokens to different groups, restrict each to "
    "the names of its group, and let it expire.",
    NULL
};
static const struct command_example examples[] = {
    { "dides token web --file web.token --instances 'web-*' --expires 7d",
      "Make a token for one group and one week, and see only its entry" },
    { NULL, NULL },
};

const struct command token_command = {
    .name = "token",
    .summary = "make a registration token",
    .synopsis = synopsis,
    .details = details,
    COMMAND_OPTIONS(rows),
    .examples = examples,
    .see_also = "server agent config",
    .run = run,
};
