/* SPDX-License-Identifier: Apache-2.0
 * settings.c - reading the layers of the configuration. See settings.h; what is printed of them
 * stands in settings_print.c. */
#include "cmd/settings.h"

#include "base/cleanup.h"
#include "cmd/settings_parts.h"
#include "cmd/tokens.h"
#include "net/address.h"
#include "wire/json_pull.h"
#include "wire/json_read.h"
#include "wire/json_write.h"
#include "wire/yaml_read.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of all texts together: documents are read whole, and what they become is not larger. */
#define ARENA_MAX     ((size_t)16 << 20)
#define DAY_MS        (24ll * 3600 * 1000)
#define VALUE_MAX     4096 /* bytes of one value in a variable or on the command line */
#define DOCUMENT_MAX  ((size_t)2 * YAML_SIZE_MAX)
#define PAIR_JSON_MAX ((size_t)32 * 1024) /* every byte of key and value may need six */

/* ---- the table ------------------------------------------------------------------------------ */

static const struct sm_words store_words = { (const struct sm_word[]){
                                                 { "sqlite", "one file in the folder `data`" },
                                                 { "memory", "nothing outlives the process" } },
                                             SETTING_STORE_COUNT };
static const struct sm_words label_words = {
    (const struct sm_word[]){ { "merge", "they change the labels of the instance" },
                              { "ignore", "only registration sets labels" } },
    2
};
static const struct sm_words when_words = {
    (const struct sm_word[]){ { "auto", "by themselves" }, { "manual", "only when called" } }, 2
};

/* clang-format off */
#define AT(member) JSON_AT(struct setting_token, member)
static const struct json_field token_fields[] = {
    { .name = "name",       .kind = JSON_TEXT, .flags = JSON_REQUIRED | JSON_PRINTABLE, AT(name), .min = 1, .max = TOKEN_NAME_MAX, .meaning = "shown in log and journal" },
    { .name = "token",      .kind = JSON_TEXT, .flags = JSON_PRINTABLE, AT(token), .min = TOKEN_SIZE_MIN, .max = LIMIT_TOKEN, .meaning = "the token itself" },
    { .name = "token_file", .kind = JSON_TEXT, .flags = JSON_PRINTABLE, AT(token_file), .min = 1, .max = 4000, .meaning = "file whose first line is the token" },
    { .name = "sha256",     .kind = JSON_TEXT, .flags = JSON_PRINTABLE, AT(sha256), .min = SECRET_HEX_SIZE, .max = SECRET_HEX_SIZE, .meaning = "of the token, as 64 hexadecimal digits" },
    { .name = "instances",  .kind = JSON_TEXT, .flags = JSON_PRINTABLE, AT(instances), .min = 1, .max = TOKEN_PATTERN_MAX, .meaning = "pattern of the names it may register, such as web-*" },
    { .name = "expires",    .kind = JSON_TIME, AT(expires), .meaning = "when it ends" },
};
#undef AT
/* clang-format on */
const struct json_table setting_token_table = { .name = "registration_token",
                                                .fields = token_fields,
                                                .count =
                                                    sizeof token_fields / sizeof token_fields[0],
                                                .unknown = JSON_UNKNOWN_IS_ERROR,
                                                .size = sizeof(struct setting_token),
                                                .given_offset = JSON_NOT_KEPT };

#define JSON_OF_ADDRESS  JSON_TEXT
#define JSON_OF_TEXT     JSON_TEXT
#define JSON_OF_WORD     JSON_WORD
#define JSON_OF_DURATION JSON_DURATION
#define JSON_OF_COUNT    JSON_INTEGER
#define JSON_OF_BOOL     JSON_BOOL
#define JSON_OF_TOKENS   JSON_OBJECTS

#define MORE_OF_ADDRESS
#define MORE_OF_TEXT
#define MORE_OF_WORD
#define MORE_OF_DURATION
#define MORE_OF_COUNT
#define MORE_OF_BOOL
#define MORE_OF_TOKENS .sub = &setting_token_table, JSON_COUNT(struct setting_values, token_count),

static const struct json_field fields[] = {
#define SETTING_FIELD(setting_kind, setting_key, member, low, high, list, fallback, what)          \
    { .name = #setting_key,                                                                        \
      .kind = JSON_OF_##setting_kind,                                                              \
      .flags = JSON_PRINTABLE,                                                                     \
      JSON_AT(struct setting_values, member),                                                      \
      .min = (low),                                                                                \
      .max = (high),                                                                               \
      .words = (list),                                                                             \
      MORE_OF_##setting_kind.meaning = (what) },
    SETTINGS(SETTING_FIELD)
#undef SETTING_FIELD
};

static const bool is_address[] = {
#define SETTING_IS_ADDRESS_ADDRESS  true
#define SETTING_IS_ADDRESS_TEXT     false
#define SETTING_IS_ADDRESS_WORD     false
#define SETTING_IS_ADDRESS_DURATION false
#define SETTING_IS_ADDRESS_COUNT    false
#define SETTING_IS_ADDRESS_BOOL     false
#define SETTING_IS_ADDRESS_TOKENS   false
#define SETTING_ADDRESS(kind, ...)  SETTING_IS_ADDRESS_##kind,
    SETTINGS(SETTING_ADDRESS)
#undef SETTING_ADDRESS
};

const char *const setting_defaults[SETTING_COUNT] = {
#define SETTING_DEFAULT(kind, key, member, low, high, list, fallback, what) fallback,
    SETTINGS(SETTING_DEFAULT)
#undef SETTING_DEFAULT
};

const struct json_table settings_table = { .name = "settings",
                                           .fields = fields,
                                           .count = SETTING_COUNT,
                                           .unknown = JSON_UNKNOWN_IS_ERROR,
                                           .empty_is_object = true,
                                           .size = sizeof(struct setting_values),
                                           .given_offset = offsetof(struct setting_values, given) };

static_assert(SETTING_COUNT <= JSON_FIELDS_MAX, "one bit per setting");

bool setting_is_address(enum setting row)
{
    return is_address[row];
}

void setting_variable(enum setting row, struct buffer *out)
{
    buffer_add(out, TEXT(SETTINGS_PREFIX));
    for (const char *c = fields[row].name; *c; c++)
        buffer_add_byte(out, *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c);
}

/* ---- one document --------------------------------------------------------------------------- */

static bool check_addresses(const struct setting_values *v, struct err *err)
{
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        union address parsed;
        if (!is_address[i] || !(v->given.fields & JSON_BIT(i)))
            continue;
        const struct text *t = (const void *)((const char *)v + fields[i].offset);
        struct err why = { .code = ERR_NONE };
        if (!address_parse(*t, &parsed, &why)) {
            char pointer[ERR_POINTER_SIZE];
            snprintf(pointer, sizeof pointer, "/%s", fields[i].name);
            return err_set_at(err, ERR_INVALID, pointer, "%s", why.text);
        }
    }
    return true;
}

static bool has_plain_token(const struct setting_values *v)
{
    for (uint32_t i = 0; i < v->token_count; i++)
        if (v->tokens[i].token.size > 0)
            return true;
    return false;
}

static bool check_secrecy(const struct setting_values *v, struct err *err)
{
    bool is_given = v->given.fields & JSON_BIT(SETTING_registration_tokens);
    if (!is_given || !has_plain_token(v))
        return true;
    return err_set_at(err, ERR_INVALID, "/registration_tokens",
                      "holds a token where others can read it: give its sha256 or a token_file "
                      "instead, or make the file mode 600");
}

/* Reads an object of settings; texts must live as long as the arena. All or nothing. `is_public`:
 * others can read it too. */
static bool read_json(struct settings *s, struct text json, enum setting_source source,
                      bool is_public, struct err *err)
{
    struct setting_values value = s->value;
    if (!json_read(&settings_table, json, &s->arena, &value, NULL, err) ||
        !check_addresses(&value, err) || (is_public && !check_secrecy(&value, err)))
        return false;
    s->value = value;
    for (unsigned i = 0; i < SETTING_COUNT; i++)
        if (value.given.fields & JSON_BIT(i))
            s->sources[i] = (uint8_t)source;
    return true;
}

/* What was wrong becomes a sentence about `where`, and is wrong usage whatever it was in itself.
 * `shows_key`: `where` does not name the key. */
static bool blame(struct err *err, const char *where, bool shows_key, const struct err *why)
{
    bool has_pointer = shows_key && why->pointer[0];
    bool is_secret = text_ends_with(text_from(why->pointer), TEXT("/token"));
    const char *text = is_secret ? "must be a text in quotes of 16 to 4096 bytes" : why->text;
    bool is_predicate = text[0] >= 'a' && text[0] <= 'z'; /* "must be ..." */
    return err_set_at(err, why->code == ERR_MEMORY ? ERR_MEMORY : ERR_USAGE, why->pointer,
                      "%s%s%s%s%s", where, has_pointer ? ": " : "", has_pointer ? why->pointer : "",
                      is_predicate && (has_pointer || !shows_key) ? " " : ": ", text);
}

/* ---- single values -------------------------------------------------------------------------- */

static bool is_number(struct text t)
{
    size_t digits = 0;
    while (digits < t.size && t.data[digits] >= '0' && t.data[digits] <= '9')
        digits++;
    return digits > 0 && digits == t.size && (digits == 1 || t.data[0] != '0');
}

static bool is_list(struct text value)
{
    const struct json_node *root = NULL;
    struct arena arena;
    arena_init(&arena, &memory_heap, VALUE_MAX * (size_t)64);
    bool is_one = json_tree_parse(value, &arena, &root, NULL) && root->kind == JSON_NODE_LIST;
    arena_release(&arena);
    return is_one;
}

/* {"key": value}: bare where the kind is no text and the value has its form; else quoted, so that
 * the reader refuses it with the sentence that a file would get. */
static void write_pair(struct buffer *out, const struct json_field *field, struct text key,
                       struct text value)
{
    bool is_bool = text_equal(value, TEXT("true")) || text_equal(value, TEXT("false"));
    bool is_bare = field && ((field->kind == JSON_INTEGER && is_number(value)) ||
                             (field->kind == JSON_BOOL && is_bool) ||
                             (field->kind == JSON_OBJECTS && is_list(value)));
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key_text(&w, key);
    if (is_bare)
        json_write_raw(&w, value);
    else
        json_write_text(&w, value);
    json_end_object(&w);
}

static bool read_value(struct settings *s, struct text key, struct text value,
                       enum setting_source source, struct err *err)
{
    bool is_alias;
    int row = json_table_find(&settings_table, key, 0, &is_alias);
    if (key.size > VALUE_MAX || value.size > VALUE_MAX)
        return err_set(err, ERR_INVALID, "must have at most %d bytes", VALUE_MAX);
    if (!text_is_utf8(value))
        return err_set(err, ERR_INVALID, "must be a text in UTF-8");
    cleanup(buffer_release) struct buffer json = { 0 };
    buffer_init(&json, &memory_heap, PAIR_JSON_MAX);
    write_pair(&json, row >= 0 ? &fields[row] : NULL, key, value);
    struct text kept;
    if (json.failed || !arena_copy(&s->arena, buffer_text(&json), &kept))
        return err_set(err, ERR_MEMORY, "no memory for the settings");
    return read_json(s, kept, source, source == SETTING_FROM_SET, err);
}

bool settings_read_pair(struct settings *s, const char *pair, struct err *err)
{
    char space[ERR_EXCERPT_SIZE], where[ERR_EXCERPT_SIZE + 16];
    struct err why = { .code = ERR_NONE };
    struct text value = text_from(pair), key;
    if (!text_cut(&value, '=', &key) || !value.data || key.size == 0)
        return err_set(err, ERR_USAGE, "--set wants KEY=VALUE, not \"%s\"",
                       err_excerpt(text_from(pair), space));
    if (read_value(s, key, value, SETTING_FROM_SET, &why))
        return true;
    snprintf(where, sizeof where, "--set %s", err_excerpt(key, space));
    return blame(err, where, false, &why);
}

const char *setting_flag(const char *key, char space[static SETTING_FLAG_SIZE])
{
    snprintf(space, SETTING_FLAG_SIZE, "--%s", key);
    for (char *c = space; *c; c++)
        *c = *c == '_' ? '-' : *c;
    return space;
}

bool settings_read_flag(struct settings *s, const char *key, const char *value, struct err *err)
{
    char where[SETTING_FLAG_SIZE];
    struct err why = { .code = ERR_NONE };
    bool is_alias;
    assert(json_table_find(&settings_table, text_from(key), 0, &is_alias) >= 0);
    if (read_value(s, text_from(key), text_from(value), SETTING_FROM_FLAG, &why))
        return true;
    setting_flag(key, where);
    return blame(err, where, false, &why);
}

/* ---- environment ---------------------------------------------------------------------------- */

#define VARIABLE_MAX 64 /* longer than any key */

/* "HEARTBEAT_MIN" becomes "heartbeat_min". False: it is no key and is like none. */
static bool lower_key(struct text name, char space[static VARIABLE_MAX], struct text *ret)
{
    if (name.size == 0 || name.size > VARIABLE_MAX)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        space[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    *ret = (struct text){ space, name.size };
    return true;
}

static bool is_upper(struct text name)
{
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] >= 'a' && name.data[i] <= 'z')
            return false;
    return true;
}

static bool blame_variable(struct err *err, struct text name, const char *nearest)
{
    char space[ERR_EXCERPT_SIZE];
    struct sentence s;
    bool is_alias;
    sentence_init(&s);
    setting_variable(
        (enum setting)json_table_find(&settings_table, text_from(nearest), 0, &is_alias),
        &s.buffer);
    return err_set(err, ERR_USAGE,
                   "the environment variable " SETTINGS_PREFIX
                   "%s is no setting; did you mean %.*s?",
                   err_excerpt(name, space), TEXT_ARG(buffer_text(&s.buffer)));
}

/* `name` is without the prefix. */
static bool read_variable(struct settings *s, struct text name, struct text value, struct err *err)
{
    char space[VARIABLE_MAX], where[VARIABLE_MAX + 64];
    struct err why = { .code = ERR_NONE };
    struct text key;
    bool is_alias;
    if (!lower_key(name, space, &key))
        return true;
    if (json_table_find(&settings_table, key, 0, &is_alias) < 0 || !is_upper(name)) {
        const char *nearest = json_table_nearest(&settings_table, key);
        return !nearest || blame_variable(err, name, nearest);
    }
    if (read_value(s, key, value, SETTING_FROM_ENVIRONMENT, &why))
        return true;
    snprintf(where, sizeof where, "the environment variable " SETTINGS_PREFIX "%.*s",
             TEXT_ARG(name));
    return blame(err, where, false, &why);
}

bool settings_read_environment(struct settings *s, char *const *environment, struct err *err)
{
    struct setting_values before = s->value;
    uint8_t sources[SETTING_COUNT];
    memcpy(sources, s->sources, sizeof sources);
    for (; *environment; environment++) {
        struct text value = text_from(*environment), name;
        if (!text_starts_with(value, TEXT(SETTINGS_PREFIX)) || !text_cut(&value, '=', &name) ||
            !value.data)
            continue;
        name = text_skip(name, sizeof SETTINGS_PREFIX - 1);
        if (read_variable(s, name, value, err))
            continue;
        s->value = before;
        memcpy(s->sources, sources, sizeof sources);
        return false;
    }
    return true;
}

/* ---- file ----------------------------------------------------------------------------------- */

/* Any kind of file, also a pipe: its size is known when it ends. 0, or errno. */
static int slurp(int fd, struct buffer *out)
{
    char space[4096];
    for (;;) {
        ssize_t got = read(fd, space, sizeof space);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? errno : 0;
        buffer_add(out, (struct text){ space, (size_t)got });
        if (out->failed)
            return out->size + (size_t)got > out->max ? EFBIG : ENOMEM;
    }
}

static int read_bytes(const char *path, struct buffer *out, bool *ret_is_public)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    *ret_is_public = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0;
    int failure = slurp(fd, out);
    close(fd);
    return failure;
}

/* The document as JSON, kept in the arena. */
static bool to_json(struct settings *s, const char *path, struct text bytes, struct text *ret,
                    struct err *err)
{
    cleanup(buffer_release) struct buffer json = { 0 };
    buffer_init(&json, &memory_heap, DOCUMENT_MAX);
    if (text_ends_with(text_from(path), TEXT(".json")))
        buffer_add(&json, bytes);
    else if (!yaml_to_json(bytes, &json, err))
        return false;
    if (json.failed || !arena_copy(&s->arena, buffer_text(&json), ret))
        return err_set(err, ERR_MEMORY, "no memory for it");
    return true;
}

bool settings_read_file(struct settings *s, const char *path, struct err *err)
{
    char where[ERR_EXCERPT_SIZE];
    struct err why = { .code = ERR_NONE };
    struct text json, name;
    bool is_public = false;
    err_excerpt(text_from(path), where);
    cleanup(buffer_release) struct buffer bytes = { 0 };
    buffer_init(&bytes, &memory_heap, YAML_SIZE_MAX);
    int failure = read_bytes(path, &bytes, &is_public);
    if (failure)
        return err_set(err, failure == ENOMEM ? ERR_MEMORY : ERR_USAGE,
                       "cannot read the configuration file %s: %s", where, strerror(failure));
    if (!arena_copy(&s->arena, text_from(path), &name))
        return err_set(err, ERR_MEMORY, "no memory for the settings");
    if (!to_json(s, path, buffer_text(&bytes), &json, &why) ||
        !read_json(s, json, SETTING_FROM_FILE, is_public, &why))
        return blame(err, where, true, &why);
    s->file = name;
    return true;
}

/* ---- the whole ------------------------------------------------------------------------------ */

bool settings_init(struct settings *s, struct err *err)
{
    *s = (struct settings){ .file = TEXT_NONE };
    arena_init(&s->arena, &memory_heap, ARENA_MAX);
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        struct err why = { .code = ERR_NONE };
        if (read_value(s, text_from(fields[i].name), text_from(setting_defaults[i]),
                       SETTING_FROM_DEFAULT, &why))
            continue;
        assert(why.code == ERR_MEMORY); /* the list keeps its own rules */
        return err_set(err, why.code, "%s", why.text);
    }
    return true;
}

void settings_release(struct settings *s)
{
    arena_release(&s->arena);
}

/* "heartbeat_max is 1s (--set)" */
static const char *name_value(const struct settings *s, enum setting row, struct sentence *space)
{
    sentence_init(space);
    buffer_printf(&space->buffer, "%s (", fields[row].name);
    setting_write_value(s, row, &space->buffer);
    buffer_add(&space->buffer, TEXT(", "));
    setting_write_source(s, row, &space->buffer);
    buffer_add(&space->buffer, TEXT(")"));
    return buffer_c_string(&space->buffer);
}

static bool check_heartbeats(const struct settings *s, struct err *err)
{
    struct sentence low, high;
    if (s->value.heartbeat_min_ms <= s->value.heartbeat_max_ms)
        return true;
    return err_set(err, ERR_USAGE, "%s must not exceed %s",
                   name_value(s, SETTING_heartbeat_min, &low),
                   name_value(s, SETTING_heartbeat_max, &high));
}

/* Spec of rollouts, G4. Tokens change nothing about it: they guard what agents do, while routes of
 * operators know no roles yet and the wire no TLS. */
static bool check_exposure(const struct settings *s, struct err *err)
{
    union address address;
    struct sentence listen;
    if (!address_parse(s->value.listen, &address, err))
        return false;
    if (s->value.insecure || address_is_loopback(&address))
        return true;
    return err_set(err, ERR_USAGE,
                   "%s is beyond loopback, where nothing is encrypted and everybody who reaches it "
                   "is an operator, whatever agents must know: listen on 127.0.0.1 or [::1] with a "
                   "proxy in front, or say --insecure",
                   name_value(s, SETTING_listen, &listen));
}

bool settings_check(const struct settings *s, struct err *err)
{
    return check_heartbeats(s, err) && check_exposure(s, err) &&
           tokens_check(s->value.tokens, s->value.token_count, err);
}

struct fleet_settings settings_fleet(const struct settings *s)
{
    const struct setting_values *v = &s->value;
    return (struct fleet_settings){
        .heartbeat_timeout_ms = v->heartbeat_timeout_ms,
        .heartbeat_min_ms = v->heartbeat_min_ms,
        .heartbeat_max_ms = v->heartbeat_max_ms,
        .active_interval_ms = v->active_interval_ms,
        .target_rate = v->target_rate,
        .max_concurrent = v->max_concurrent,
        .max_instances = v->max_instances,
        .rollouts_kept = v->rollouts_kept,
        .rollouts_kept_ms = v->rollouts_kept_days * DAY_MS,
        .ignores_agent_labels = v->agent_labels == 1, /* label_words */
        .is_manual = v->reconcile == 1,               /* when_words */
    };
}
