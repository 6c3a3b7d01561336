/* SPDX-License-Identifier: Apache-2.0
 * config.c - see config.h. Every layer becomes JSON and goes through the one table, so that all of
 * them have the same rules and the same sentences. */
#include "agent/config.h"

#include "base/cleanup.h"
#include "net/http_url.h"
#include "wire/json_read.h"
#include "wire/json_write.h"
#include "wire/yaml_read.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_MAX     ((size_t)16 << 20)
#define DOCUMENT_MAX  ((size_t)2 * YAML_SIZE_MAX)
#define PAIR_JSON_MAX ((size_t)64 * 1024)
#define SECOND        1000ll
#define HOUR          (3600 * SECOND)

/* clang-format off */
#define AT(member) JSON_AT(struct config_values, member)
#define COMMAND(member) JSON_AT(struct config_values, member.words), JSON_COUNT(struct config_values, member.count), \
                        .max = CONFIG_WORDS_MAX, .item_min = 1, .item_max = 4096, .flags = JSON_PRINTABLE
static const struct json_field fields[] = {
    { .name = "server", .kind = JSON_TEXT, .flags = JSON_PRINTABLE, AT(server), .min = 1, .max = HTTP_URL_SIZE - 1,
      .meaning = "URL of the server" },
    { .name = "name", .kind = JSON_TEXT, .flags = JSON_PRINTABLE, AT(name), .min = 1, .max = LIMIT_NAME,
      .meaning = "Name of this instance; the host's name unless set otherwise" },
    { .name = "ip", .kind = JSON_TEXT, .flags = JSON_PRINTABLE, AT(ip), .min = 1, .max = 64,
      .meaning = "Address of this instance, for people and selectors" },
    { .name = "labels", .kind = JSON_MAP, .flags = JSON_PRINTABLE, AT(labels), JSON_COUNT(struct config_values, label_count),
      .max = LIMIT_LABELS, .key_max = LIMIT_LABEL_KEY, .item_max = LIMIT_LABEL_VALUE,
      .meaning = "Labels of this instance" },
    { .name = "token", .kind = JSON_TEXT, .flags = JSON_PRINTABLE, AT(token), .min = 1, .max = LIMIT_TOKEN,
      .meaning = "Registration token; also taken from DIDES_TOKEN" },
    { .name = "token_file", .kind = JSON_TEXT, .flags = JSON_PRINTABLE, AT(token_file), .min = 1, .max = 4000,
      .meaning = "File whose first line is the registration token" },
    { .name = "credential_file", .kind = JSON_TEXT, .flags = JSON_PRINTABLE, AT(credential_file), .min = 1, .max = 4000,
      .meaning = "File in which the agent keeps its credential and how often it tried an order" },
    { .name = "update_command", .kind = JSON_TEXTS, COMMAND(update),
      .meaning = "Program and arguments that bring what the environment variables DIDES_CODE_VERSION and DIDES_CONFIGURATION_VERSION name" },
    { .name = "version_command", .kind = JSON_TEXTS, COMMAND(version),
      .meaning = "Program and arguments that print the code version that runs and, on a second line, the configuration version" },
    { .name = "health_command", .kind = JSON_TEXTS, COMMAND(health),
      .meaning = "Program and arguments whose exit code tells the health: 0 HEALTHY, 1 DEGRADED, other FAILED" },
    { .name = "update_timeout", .kind = JSON_DURATION, AT(update_timeout_ms), .min = 100, .max = 24 * HOUR,
      .meaning = "Time for one update_command; then its process group is ended" },
    { .name = "update_retries", .kind = JSON_INTEGER, AT(update_retries), .max = 100,
      .meaning = "Attempts at one order after the first failed" },
    { .name = "version_timeout", .kind = JSON_DURATION, AT(version_timeout_ms), .min = 100, .max = HOUR,
      .meaning = "Time for one version_command" },
    { .name = "health_timeout", .kind = JSON_DURATION, AT(health_timeout_ms), .min = 100, .max = HOUR,
      .meaning = "Time for one health_command; then the instance is DEGRADED" },
    { .name = "check_interval", .kind = JSON_DURATION, AT(check_interval_ms), .min = 100, .max = HOUR,
      .meaning = "How often version_command and health_command run while there is nothing to do" },
    { .name = "stop_grace", .kind = JSON_DURATION, AT(stop_grace_ms), .max = HOUR,
      .meaning = "Time that a running update gets when the agent is told to end" },
    { .name = "insecure", .kind = JSON_BOOL, AT(insecure),
      .meaning = "Whether a server beyond loopback may be spoken to without TLS" },
};
/* clang-format on */
#undef COMMAND
#undef AT

#define FIELD_COUNT (sizeof fields / sizeof fields[0])

const struct json_table config_table = { .name = "agent_config",
                                         .fields = fields,
                                         .count = FIELD_COUNT,
                                         .unknown = JSON_UNKNOWN_IS_ERROR,
                                         .empty_is_object = true,
                                         .size = sizeof(struct config_values),
                                         .given_offset = JSON_NOT_KEPT };

/* ---- layers ------------------------------------------------------------------------------------
 */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* What was wrong becomes a sentence about `where`, and is wrong usage whatever it was in itself. */
static bool blame(struct err *err, const char *where, const struct err *why)
{
    const char *colon = why->pointer[0] ? ": " : "";
    return err_set_at(err, why->code == ERR_MEMORY ? ERR_MEMORY : ERR_USAGE, why->pointer,
                      "%s%s%s: %s", where, colon, why->pointer, why->text);
}

static bool no_memory(struct err *err)
{
    return err_set(err, ERR_MEMORY, "no memory for the configuration");
}

/* A copy that ends in NUL. */
static bool keep(struct arena *arena, struct text *t)
{
    return t->size == 0 || arena_copy(arena, *t, t);
}

static bool keep_command(struct arena *arena, struct config_command *command)
{
    for (uint32_t i = 0; i < command->count; i++)
        if (!keep(arena, &command->words[i]))
            return false;
    return true;
}

static bool keep_all(struct arena *arena, struct config_values *v)
{
    struct text *texts[] = { &v->server, &v->name,       &v->ip,
                             &v->token,  &v->token_file, &v->credential_file };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!keep(arena, texts[i]))
            return false;
    for (uint32_t i = 0; i < v->label_count; i++)
        if (!keep(arena, &v->labels[i].key) || !keep(arena, &v->labels[i].value))
            return false;
    return keep_command(arena, &v->update) && keep_command(arena, &v->version) &&
           keep_command(arena, &v->health);
}

/* `json` need not outlive the call. */
static bool read_json(struct config *config, struct text json, struct err *err)
{
    struct config_values value = config->value;
    struct text kept;
    if (!arena_copy(&config->arena, json, &kept))
        return no_memory(err);
    if (!json_read(&config_table, kept, &config->arena, &value, NULL, err))
        return false;
    if (!keep_all(&config->arena, &value))
        return no_memory(err);
    config->value = value;
    return true;
}

static bool slurp(int fd, struct buffer *out)
{
    char block[4096];
    for (;;) {
        ssize_t got = read(fd, block, sizeof block);
        if (got == 0)
            return !out->failed;
        if (got < 0 && errno != EINTR)
            return false;
        if (got > 0)
            buffer_add(out, (struct text){ block, (size_t)got });
    }
}

static bool read_bytes(const char *path, struct buffer *out, bool *ret_is_open_to_others,
                       struct err *err)
{
    struct stat st;
    cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || !slurp(fd, out))
        return err_set(err, ERR_USAGE, "cannot read %s: %s", path,
                       out->failed ? "it is too large" : strerror(errno));
    *ret_is_open_to_others = (st.st_mode & 077) != 0;
    return true;
}

bool config_read_file(struct config *config, const char *path, struct err *err)
{
    bool is_open_to_others;
    struct err why = { 0 };
    struct text token_before = config->value.token;
    struct config_values before = config->value;
    cleanup(buffer_release) struct buffer bytes = { 0 }, json = { 0 };
    buffer_init(&bytes, &memory_heap, YAML_SIZE_MAX);
    buffer_init(&json, &memory_heap, DOCUMENT_MAX);
    if (!read_bytes(path, &bytes, &is_open_to_others, err))
        return false;
    bool is_json = text_ends_with(text_from(path), TEXT(".json"));
    if (is_json)
        buffer_add(&json, buffer_text(&bytes));
    if (!is_json && !yaml_to_json(buffer_text(&bytes), &json, &why))
        return blame(err, path, &why);
    if (json.failed)
        return no_memory(err);
    if (!read_json(config, buffer_text(&json), &why))
        return blame(err, path, &why);
    bool has_token = config->value.token.data != token_before.data;
    if (!has_token || !is_open_to_others)
        return true;
    config->value = before;
    return err_set(err, ERR_USAGE,
                   "%s holds a token and can be read by others: chmod 600, or use token_file",
                   path);
}

static const struct json_field *find_field(const char *key)
{
    bool is_alias;
    int row = json_table_find(&config_table, text_from(key), 0, &is_alias);
    assert(row >= 0);
    return &fields[row];
}

static bool is_number(struct text t)
{
    uint64_t number;
    return text_to_u64(t, UINT64_MAX, &number);
}

bool config_read_flag(struct config *config, const char *key, const char *value, struct err *err)
{
    const struct json_field *field = find_field(key);
    struct err why = { 0 };
    struct json_writer w;
    cleanup(buffer_release) struct buffer json = { 0 };
    if (!text_is_utf8(text_from(value)))
        return err_set(err, ERR_USAGE, "--%s: it must be a text in UTF-8", key);
    buffer_init(&json, &memory_heap, PAIR_JSON_MAX);
    json_writer_init(&w, &json);
    json_begin_object(&w);
    json_key(&w, key);
    if (field->kind == JSON_TEXTS) {
        json_begin_list(&w);
        json_write_text(&w, text_from(value));
        json_end_list(&w);
    } else if (field->kind == JSON_BOOL ||
               (field->kind == JSON_INTEGER && is_number(text_from(value))))
        json_write_raw(&w, text_from(value));
    else
        json_write_text(&w, text_from(value));
    json_end_object(&w);
    if (json.failed)
        return err_set(err, ERR_USAGE, "--%s: it is too long", key);
    return read_json(config, buffer_text(&json), &why) || blame(err, "the command line", &why);
}

bool config_read_label(struct config *config, const char *pair, struct err *err)
{
    char excerpt[ERR_EXCERPT_SIZE];
    struct err why = { 0 };
    struct json_writer w;
    struct text value = text_from(pair), key;
    cleanup(buffer_release) struct buffer json = { 0 };
    buffer_init(&json, &memory_heap, DOCUMENT_MAX);
    if (!text_is_utf8(value) || !text_cut(&value, '=', &key) || !value.data || key.size == 0)
        return err_set(err, ERR_USAGE, "--label wants KEY=VALUE, not \"%s\"",
                       err_excerpt(text_from(pair), excerpt));
    json_writer_init(&w, &json);
    json_begin_object(&w);
    json_key(&w, "labels");
    json_begin_object(&w);
    for (uint32_t i = 0; i < config->value.label_count; i++) {
        const struct json_pair *label = &config->value.labels[i];
        if (text_equal(label->key, key))
            continue;
        json_key_text(&w, label->key);
        json_write_text(&w, label->value);
    }
    json_key_text(&w, key);
    json_write_text(&w, value);
    json_end_object(&w);
    json_end_object(&w);
    if (json.failed)
        return no_memory(err);
    return read_json(config, buffer_text(&json), &why) || blame(err, "--label", &why);
}

bool config_set_token(struct config *config, const char *token, struct err *err)
{
    struct text t = text_from(token), kept;
    if (t.size > LIMIT_TOKEN || !text_is_printable(t) || !text_is_utf8(t))
        return err_set(err, ERR_USAGE,
                       "the token is longer than %d bytes or has control characters", LIMIT_TOKEN);
    if (!arena_copy(&config->arena, t, &kept))
        return no_memory(err);
    config->value.token = kept;
    return true;
}

bool config_read_token(struct config *config, struct err *err)
{
    bool is_open_to_others;
    struct text rest, line = TEXT_NONE;
    char token[LIMIT_TOKEN + 1];
    cleanup(buffer_release) struct buffer bytes = { 0 };
    if (config->value.token.size > 0 || config->value.token_file.size == 0)
        return true;
    buffer_init(&bytes, &memory_heap, 2 * LIMIT_TOKEN);
    if (!read_bytes(config->value.token_file.data, &bytes, &is_open_to_others, err))
        return false;
    rest = buffer_text(&bytes);
    text_cut(&rest, '\n', &line);
    line = text_trim(line);
    if (line.size == 0 || line.size > LIMIT_TOKEN || memchr(line.data, '\0', line.size))
        return err_set(err, ERR_USAGE, "the first line of %s is no token",
                       config->value.token_file.data);
    memcpy(token, line.data, line.size);
    token[line.size] = '\0';
    bool done = config_set_token(config, token, err);
    explicit_bzero(token, sizeof token);
    return done;
}

/* ---- the whole ---------------------------------------------------------------------------------
 */

static bool set_default(struct config *config, const char *key, const char *value, struct err *err)
{
    return config_read_flag(config, key, value, err);
}

bool config_init(struct config *config, struct err *err)
{
    char host[LIMIT_NAME + 1] = "";
    *config = (struct config){ .value = { .update_timeout_ms = 300 * SECOND,
                                          .version_timeout_ms = 30 * SECOND,
                                          .health_timeout_ms = 30 * SECOND,
                                          .check_interval_ms = 30 * SECOND,
                                          .stop_grace_ms = 30 * SECOND,
                                          .update_retries = 1 } };
    arena_init(&config->arena, &memory_heap, ARENA_MAX);
    /* Without a host name, or with a strange one, there is no default: config_check() asks for it.
     */
    if (gethostname(host, sizeof host - 1) != 0 || !text_is_printable(text_from(host)) ||
        !text_is_utf8(text_from(host)))
        host[0] = '\0';
    return (!host[0] || set_default(config, "name", host, err)) &&
           set_default(config, "credential_file", "dides-agent.json", err);
}

void config_release(struct config *config)
{
    arena_release(&config->arena);
}

static bool is_loopback(struct text host)
{
    return text_equal(host, TEXT("localhost")) || text_equal(host, TEXT("[::1]")) ||
           (text_starts_with(host, TEXT("127.")) && is_ip_address(host));
}

/* The host of a checked URL, with brackets around an IPv6 address. */
static struct text host_of(struct text url)
{
    size_t scheme = text_find(url, ':');
    struct text host = text_skip(url, scheme + 3);
    host.size = text_find(host, '/');
    if (text_starts_with(host, TEXT("[")))
        host.size = text_find(host, ']') + 1;
    else
        host.size = text_find(host, ':');
    return host;
}

static bool check_server(const struct config_values *v, struct err *err)
{
    struct http_url url;
    struct err why = { 0 };
    if (v->server.size == 0)
        return err_set(err, ERR_USAGE, "which server? Set server, or give --server URL");
    if (!http_url_parse(v->server, &url, &why))
        return err_set(err, ERR_USAGE, "server: %s", why.text);
    bool is_plain = text_starts_with(text_from(url.shown), TEXT("http:"));
    if (!is_plain || v->insecure || is_loopback(host_of(text_from(url.shown))))
        return true;
    return err_set(err, ERR_USAGE,
                   "%s is beyond loopback and without TLS: everybody on the way could read the "
                   "credential and give orders; use https, or say --insecure",
                   url.shown);
}

bool config_check(const struct config *config, struct err *err)
{
    const struct config_values *v = &config->value;
    if (v->name.size == 0)
        return err_set(err, ERR_USAGE, "which instance is this? Set name, or give --name NAME");
    if (v->version.count == 0)
        return err_set(err, ERR_USAGE,
                       "version_command is not set: the agent reports what runs, and must be able "
                       "to ask");
    if (v->update.count == 0)
        return err_set(err, ERR_USAGE, "update_command is not set");
    if (v->ip.size > 0 && !is_ip_address(v->ip))
        return err_set(err, ERR_USAGE, "ip must be an IPv4 or IPv6 address");
    return check_server(v, err);
}

/* ---- printing ----------------------------------------------------------------------------------
 */

static bool is_set(const struct json_field *field, const struct config_values *v)
{
    const void *at = (const char *)v + field->offset;
    if (field->kind == JSON_TEXT)
        return ((const struct text *)at)->size > 0;
    if (field->kind == JSON_TEXTS || field->kind == JSON_MAP)
        return *(const uint32_t *)((const void *)((const char *)v + field->count_offset)) > 0;
    return true;
}

/* The value alone, in JSON, which is YAML too: a table of this one field, without its braces. */
static void print_value(const struct json_field *field, const struct config_values *v,
                        struct buffer *out)
{
    struct json_table one = config_table;
    struct json_writer w;
    cleanup(buffer_release) struct buffer json = { 0 };
    buffer_init(&json, &memory_heap, DOCUMENT_MAX);
    one.fields = field;
    one.count = 1;
    json_writer_init(&w, &json);
    json_write_table(&w, &one, v, JSON_ABSENT_IS_OMITTED);
    struct text value = text_skip(buffer_text(&json), strlen(field->name) + 4);
    if (json.failed || value.size == 0)
        out->failed = true;
    else
        buffer_add(out, (struct text){ value.data, value.size - 1 });
}

void config_print(const struct config *config, struct buffer *out)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const struct json_field *field = &fields[i];
        bool is_secret = strcmp(field->name, "token") == 0;
        bool has_value = is_set(field, &config->value);
        buffer_printf(out, "%s# %s: ", i ? "\n" : "", field->meaning);
        json_field_expect(field, out);
        buffer_printf(out, "\n%s%s: ", has_value && !is_secret ? "" : "#", field->name);
        if (has_value && is_secret)
            buffer_add(out, TEXT("***"));
        else if (has_value)
            print_value(field, &config->value, out);
        buffer_add_byte(out, '\n');
    }
}
