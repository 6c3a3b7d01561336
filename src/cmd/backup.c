/* SPDX-License-Identifier: Apache-2.0
 * backup.c - `dides backup`: a copy of the server's database in a file here, from the running
 * server or from the folder of a stopped one. Either way it is checked before it has its name. */
#include "base/cleanup.h"
#include "cmd/client.h"
#include "cmd/commands.h"
#include "cmd/facts.h"
#include "cmd/options.h"
#include "net/http_client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

struct backup_options {
    struct client_options client;
    const char *data;
    bool replaces;
    int64_t timeout_ms;
};

static void close_file(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* ---- the file under another name ------------------------------------------------------------ */

/* What an earlier backup left that was killed is used again; what somebody else put there is not.
 */
static bool is_ours(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
           status.st_nlink == 1;
}

static bool open_partial(const char *path, int *ret, struct err *err)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    cleanup(close_file) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot create %s: %s", path,
                       strerror(errno));
    if (!is_ours(fd))
        return err_set(err, ERR_REFUSED, "%s belongs to somebody else", path);
    if (fcntl(fd, F_OFD_SETLK, &whole) != 0)
        return err_set(err, ERR_REFUSED, "another backup is writing to %s", path);
    if (fchmod(fd, 0600) != 0 || ftruncate(fd, 0) != 0)
        return err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    *ret = fd;
    fd = -1;
    return true;
}

/* ---- from a running server ------------------------------------------------------------------ */

#define PUSH_BYTES ((off_t)8 << 20)

struct target {
    int fd;
    off_t size, pushed;
    struct err err;
};

/* All at once at the end would make the server wait for its own flushes, if it has the same disk.
 */
static void push(struct target *target)
{
    if (target->size - target->pushed < PUSH_BYTES)
        return;
    sync_file_range(target->fd, target->pushed, target->size - target->pushed,
                    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                        SYNC_FILE_RANGE_WAIT_AFTER);
    target->pushed = target->size;
}

static bool keep_bytes(void *ctx, struct text bytes)
{
    struct target *target = ctx;
    while (bytes.size > 0) {
        ssize_t done = write(target->fd, bytes.data, bytes.size);
        if (done < 0 && errno != EINTR)
            return err_set(&target->err, ERR_IO, "cannot write the backup: %s", strerror(errno));
        if (done > 0) {
            bytes = text_skip(bytes, (size_t)done);
            target->size += done;
        }
    }
    push(target);
    return true;
}

/* The answer of a refusal, as client_complain() wants it. */
static enum exit_code refused(struct client *client)
{
    if (!json_tree_parse(buffer_text(&client->body), &client->arena, &client->root, NULL))
        client->root = NULL;
    client_complain(client);
    return exit_of_status(client->status, json_get_text(client->root, "code", TEXT_NONE));
}

static enum exit_code download(const struct command *command, const struct backup_options *options,
                               int fd)
{
    cleanup(client_release) struct client client = { .status = 0 };
    int code;
    if (!client_open(&client, command, &options->client, options->timeout_ms, &code))
        return (enum exit_code)code;
    struct target target = { .fd = fd };
    struct call call = { .method = "POST",
                         .path = TEXT("/backup"),
                         .bearer = client.bearer,
                         .timeout_ms = client.timeout_ms };
    bool done = http_download(client.server, &call, keep_bytes, &target, &client.body,
                              &client.status, &client.err);
    if (done && client.status >= 200 && client.status <= 299)
        return EXIT_DONE;
    if (done)
        return refused(&client);
    const struct err *why = target.err.code != ERR_NONE ? &target.err : &client.err;
    return facts_complain("backup", why);
}

/* ---- the command ---------------------------------------------------------------------------- */

static enum exit_code fill(const struct command *command, const struct backup_options *options,
                           const char *partial, int fd)
{
    struct err err = { 0 };
    if (!options->data)
        return download(command, options, fd);
    if (store_sqlite_copy(options->data, partial, fd, &err))
        return EXIT_DONE;
    return facts_complain("backup", &err);
}

static enum exit_code make(const struct command *command, const struct backup_options *options,
                           const char *path, struct store_sqlite_facts *ret)
{
    char partial[PATH_MAX];
    struct err err = { 0 };
    cleanup(close_file) int fd = -1;
    int size = snprintf(partial, sizeof partial, "%s.partial", path);
    if (size < 0 || size >= PATH_MAX)
        return (enum exit_code)wrong_usage(command, "the name of the file is too long");
    if (!options->replaces && access(path, F_OK) == 0) {
        remark("backup: %s exists; --force replaces it once the new one is whole", path);
        return EXIT_CONFLICT;
    }
    if (!open_partial(partial, &fd, &err))
        return facts_complain("backup", &err);
    enum exit_code code = fill(command, options, partial, fd);
    if (code != EXIT_DONE) {
        unlink(partial);
        return code;
    }
    if (!store_sqlite_keep(partial, path, options->replaces, ret, &err))
        return facts_complain("backup", &err);
    return EXIT_DONE;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct backup_options options = { .timeout_ms = 0 };
    struct operands operands;
    struct store_sqlite_facts facts;
    enum output_format format;
    int code;
    if (!options_parse_few(command, argc, argv, 1, &options, &operands, &code))
        return code;
    if (operands.count < 1 || operands.list[0][0] == '\0')
        return wrong_usage(command, "the file to write to is missing");
    if (!output_format_parse(text_from(options.client.output), &format))
        return wrong_usage(command, "--output: \"%s\" is no output format", options.client.output);
    code = (int)make(command, &options, operands.list[0], &facts);
    return code == EXIT_DONE ? (int)facts_print(format, operands.list[0], &facts) : code;
}

static const struct option_row rows[] = {
    { .name = "force",
      .letter = 'f',
      .kind = OPTION_FLAG,
      .offset = offsetof(struct backup_options, replaces),
      .meaning = "replace FILE if it exists, once the new one is whole" },
    { .name = "data",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct backup_options, data),
      .argument = "DIR",
      .meaning = "ask no server; copy from the folder of one that is stopped" },
    { .name = "timeout",
      .kind = OPTION_DURATION,
      .offset = offsetof(struct backup_options, timeout_ms),
      .argument = "TIME",
      .meaning = "give up when the server has said nothing for so long",
      .fallback = "10m" },
    CLIENT_ROWS(struct backup_options),
};
static const char *const synopsis[] = { "[--force] [--data DIR] FILE", NULL };
static const char *const details[] = {
    "Copies the whole database of the running server: instances, rollouts, the journal, tokens and "
    "credentials (as hashes). The server goes on meanwhile; everything that it had acknowledged "
    "when it was asked is in the copy.",
    "FILE gets its name only when all of it is there, durable, and was read back and checked: it "
    "is complete or it does not exist. Its mode is 0600. Until then it is called FILE.partial.",
    "The server needs as much free space in its folder as the database is large, until the copy "
    "was sent. dides restore puts a backup in place.",
    NULL
};
static const struct command_example examples[] = {
    { "dides backup /var/backups/dides-$(date +%F).db", "From the running server" },
    { "dides backup --data /var/lib/dides before-upgrade.db", "From the folder of a stopped one" },
    { NULL, NULL },
};
static const struct operand_row operand_rows[] = { { NULL, "FILE" }, { NULL, NULL } };

const struct command backup_command = {
    .name = "backup",
    .summary = "copy the server's database to a file",
    .synopsis = synopsis,
    .details = details,
    COMMAND_OPTIONS(rows),
    .operands = operand_rows,
    .examples = examples,
    .see_also = "restore verify server",
    .run = run,
};
