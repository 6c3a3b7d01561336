/* SPDX-License-Identifier: Apache-2.0
 * token.c - `dides token`: a fresh registration token, and its entry for the server. */
#include "base/cleanup.h"
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
    const char *file;
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

static void print_entry(struct buffer *out, const char *name, const char *token)
{
    unsigned char hash[SECRET_HASH_SIZE];
    char hex[SECRET_HEX_SIZE + 1];
    secret_hash(text_from(token), hash);
    secret_to_hex(hash, hex);
    buffer_printf(out,
                  "# For the server: an entry of registration_tokens. It may have instances, such "
                  "as\n# \"web-*\", and expires, such as 2031-01-01T00:00:00Z, too.\n"
                  "registration_tokens:\n  - {name: \"%s\", sha256: \"%s\"}\n",
                  name, hex);
}

static int make(const char *name, const char *file)
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
    print_entry(&out, name, token);
    secret_wipe(token, sizeof token);
    int code = terminal_write(stdout, &out) ? EXIT_DONE : EXIT_OTHER;
    if (out.data)
        secret_wipe(out.data, out.size);
    return code;
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
    return make(name, options.file);
}

static const struct option_row rows[] = {
    { .name = "file",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct token_options, file),
      .argument = "FILE",
      .meaning = "write the token into this new file of mode 600 instead of showing it" },
};
static const char *const synopsis[] = { "[NAME] [--file FILE]", NULL };
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
    { "dides token web --file web.token", "Make a token and see only its entry" },
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
