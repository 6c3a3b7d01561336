/* SPDX-License-Identifier: Apache-2.0
 * auth.c - see auth.h and auth_parts.h. */
#include "http/auth_parts.h"

#include "base/format.h"
#include "wire/json_read.h"

#define CLIENTS_MAX      8192u  /* remembered at a time; see buckets.h for what one more does */
#define INSTANCES_MAX    65536u /* likewise, and a hot one is among few */
#define LINES_PER_SECOND 5
#define RECORD_MAX       1024
#define SECOND_US        1000000ll

/* A change of a credential until it is durable. */
struct auth_waiter {
    struct engine_waiter waiter; /* first: the waiter is this */
    struct api *api;
    struct credential_change change;
};

bool auth_is_on(const struct api *api)
{
    return api->auth.options.token_count > 0;
}

/* ---- saying no ------------------------------------------------------------------------------ */

static bool refuse(struct api_call *call, enum auth_refusal why)
{
    call->api->auth.refusals[why]++;
    return false;
}

static bool refuse_rate(struct api_call *call, int64_t wait_us, const char *of_what)
{
    uint32_t wait_s = (uint32_t)((wait_us + SECOND_US - 1) / SECOND_US);
    call->fields.retry_after_s = wait_s > 0 ? wait_s : 1;
    err_set(&call->err, ERR_RATE, "too many %s; try again in %u s", of_what,
            call->fields.retry_after_s);
    return refuse(call, AUTH_RATE);
}

/* What strangers do is told, but they cannot fill the log. */
static void warn(struct api_call *call, const char *message, struct log_field *fields, size_t count)
{
    struct auth *auth = &call->api->auth;
    char host[HTTP_HOST_SIZE];
    int64_t wait_us;
    fields[count] = (struct log_field){ "client", text_from(http_client_host(call->x, host)) };
    fields[count + 1] = (struct log_field){ NULL, TEXT_NONE };
    if (buckets_take(&auth->lines, 0, call->began_us, &wait_us))
        auth->log.write(auth->log.self, LOG_WARNING_, message, fields);
}

/* ---- rates ---------------------------------------------------------------------------------- */

static uint64_t key_of_client(const struct api_call *call, bool *ret_is_loopback)
{
    struct http_source source;
    http_client_source(call->x, &source);
    struct text network = { (const char *)source.network, sizeof source.network };
    *ret_is_loopback = source.is_loopback;
    return text_hash(network, call->api->auth.seed + source.is_v6);
}

bool auth_admits(struct api_call *call)
{
    struct auth *auth = &call->api->auth;
    int64_t wait_us;
    bool is_loopback;
    if (auth->clients.count == 0)
        return true;
    uint64_t key = key_of_client(call, &is_loopback);
    if (is_loopback || buckets_take(&auth->clients, key, call->began_us, &wait_us))
        return true;
    return refuse_rate(call, wait_us, "requests from this client");
}

static bool admits_instance(struct api_call *call, uint32_t slot)
{
    struct auth *auth = &call->api->auth;
    struct text bytes = { (const char *)&slot, sizeof slot };
    int64_t wait_us;
    if (buckets_take(&auth->instances, text_hash(bytes, auth->seed), call->began_us, &wait_us))
        return true;
    return refuse_rate(call, wait_us, "heartbeats of this instance");
}

/* ---- records -------------------------------------------------------------------------------- */

struct record {
    struct text present, previous;
};

/* clang-format off */
#define AT(member) JSON_AT(struct record, member)
static const struct json_field record_fields[] = {
    { .name = "sha256",   .kind = JSON_TEXT, .flags = JSON_REQUIRED, AT(present),  .min = SECRET_HEX_SIZE, .max = SECRET_HEX_SIZE, .meaning = "of the credential" },
    { .name = "previous", .kind = JSON_TEXT, .flags = JSON_NULLABLE, AT(previous), .min = SECRET_HEX_SIZE, .max = SECRET_HEX_SIZE, .meaning = "of the one before, until this one is used" },
};
#undef AT
/* clang-format on */
static const struct json_table record_table = { .name = "credential",
                                                .fields = record_fields,
                                                .count = 2,
                                                .unknown = JSON_UNKNOWN_IS_ERROR,
                                                .size = sizeof(struct record),
                                                .given_offset = JSON_NOT_KEPT };

static void put_key(struct buffer *out, const struct api *api, uint32_t slot)
{
    buffer_add(out, TEXT(AUTH_PREFIX));
    percent_encode(out, instance_key(fleet_at(engine_fleet(api->engine), slot)));
}

static void put_hash(struct json_writer *w, const char *key, const unsigned char *hash)
{
    char hex[SECRET_HEX_SIZE + 1];
    if (!hash)
        return;
    secret_to_hex(hash, hex);
    json_put_text(w, key, text_from(hex));
}

/* The slot's record goes into the open round, as it is now. */
static void store(struct api *api, uint32_t slot)
{
    const struct credentials *c = &api->auth.credentials;
    struct buffer key, value;
    struct json_writer w;
    buffer_init(&key, &memory_heap, RECORD_MAX);
    buffer_init(&value, &memory_heap, RECORD_MAX);
    put_key(&key, api, slot);
    json_writer_init(&w, &value);
    json_begin_object(&w);
    put_hash(&w, "sha256", credentials_present(c, slot));
    put_hash(&w, "previous", credentials_previous(c, slot));
    json_end_object(&w);
    if (credentials_has(c, slot))
        engine_put(api->engine, buffer_text(&key), buffer_text(&value), key.failed || value.failed);
    else
        engine_delete(api->engine, buffer_text(&key), key.failed);
    buffer_release(&key);
    buffer_release(&value);
}

/* A record without an instance was left by a version that knew none of this. If it stayed, it would
 * speak for the next instance of that name. */
static bool drop_orphan(struct api *api, struct text key)
{
    struct buffer whole;
    struct log_field fields[] = { { "instance", key }, { NULL, TEXT_NONE } };
    buffer_init(&whole, &memory_heap, RECORD_MAX);
    buffer_add(&whole, TEXT(AUTH_PREFIX));
    buffer_add(&whole, key);
    engine_delete(api->engine, buffer_text(&whole), whole.failed);
    buffer_release(&whole);
    api->auth.log.write(api->auth.log.self, LOG_WARNING_,
                        "removed what was stored to recognize an instance that is gone", fields);
    return true;
}

bool auth_load(struct api *api, struct text key, struct text value, struct err *err)
{
    const struct fleet *fleet = engine_fleet(api->engine);
    struct credentials *c = &api->auth.credentials;
    struct record record = { .previous = TEXT_NONE };
    struct text name;
    unsigned char present[SECRET_HASH_SIZE], previous[SECRET_HASH_SIZE];
    arena_clear(&api->arena);
    char *space = arena_take(&api->arena, key.size + 1);
    if (!space)
        return err_set(err, ERR_MEMORY, "no memory for stored credentials");
    if (!percent_decode(key, space, &name) ||
        !json_read(&record_table, value, &api->arena, &record, NULL, err) ||
        !secret_from_hex(record.present, present) ||
        (record.previous.size > 0 && !secret_from_hex(record.previous, previous)))
        return err_set(err, ERR_CORRUPT, "a stored credential is damaged");
    uint32_t slot = fleet_find(fleet, name);
    if (slot == FLEET_NONE)
        return drop_orphan(api, key);
    if (!credentials_reserve(c, fleet->slot_count))
        return err_set(err, ERR_MEMORY, "no memory for stored credentials");
    credentials_load(c, slot, present, record.previous.size > 0 ? previous : NULL);
    return true;
}

/* ---- changes -------------------------------------------------------------------------------- */

static void on_outcome(struct engine_waiter *waiter, enum engine_outcome outcome)
{
    struct auth_waiter *w = (struct auth_waiter *)waiter;
    struct credentials *c = &w->api->auth.credentials;
    if (outcome == ENGINE_DROPPED)
        credentials_take_back(c); /* with it all later ones, which are dropped too */
    else
        credentials_settle(c, &w->change);
    memory_give(&memory_heap, w, sizeof *w);
}

/* Everything that the change may need. */
static bool prepare(struct api_call *call, struct auth_grant *grant)
{
    struct api *api = call->api;
    struct auth_waiter *w = memory_take_zeroed(&memory_heap, sizeof *w);
    uint32_t slots = engine_fleet(api->engine)->slot_count + 1;
    if (!w || !credentials_reserve(&api->auth.credentials, slots)) {
        memory_give(&memory_heap, w, sizeof *w);
        return err_set(&call->err, ERR_MEMORY, "no memory for a credential");
    }
    w->api = api;
    w->waiter.done = on_outcome;
    grant->waiter = w;
    return true;
}

void auth_cancel(struct auth_grant *grant)
{
    memory_give(&memory_heap, grant->waiter, sizeof *grant->waiter);
    grant->waiter = NULL;
}

static void commit(struct auth_grant *grant, uint32_t slot)
{
    struct auth_waiter *w = grant->waiter;
    grant->waiter = NULL;
    store(w->api, slot);
    engine_wait(w->api->engine, engine_round_of_all(w->api->engine), &w->waiter);
}

static void revoke(struct auth_grant *grant, uint32_t slot)
{
    if (!grant->waiter)
        return;
    credentials_remove(&grant->waiter->api->auth.credentials, slot, &grant->waiter->change);
    commit(grant, slot);
}

/* ---- registrations -------------------------------------------------------------------------- */

static bool refuse_token(struct api_call *call, const char *why)
{
    err_set_at(&call->err, ERR_UNAUTHENTICATED, "/token", "%s", why);
    return refuse(call, AUTH_TOKEN);
}

/* Guesses are counted; a client that guessed too often is not even listened to. */
static bool refuse_wrong_token(struct api_call *call, uint64_t client)
{
    struct log_field fields[2];
    buckets_fail(&call->api->auth.failures, client, call->began_us);
    warn(call, "a registration was refused: nobody knows its token", fields, 0);
    return refuse_token(call, "there is no such registration token");
}

static bool refuse_expired_token(struct api_call *call, const struct token_rule *rule)
{
    struct log_field fields[3] = { { "rule", rule->name } };
    warn(call, "a registration was refused: its token has expired", fields, 1);
    return refuse_token(call, "this registration token has expired");
}

bool auth_token(struct api_call *call, struct text token, struct auth_grant *ret)
{
    struct auth *auth = &call->api->auth;
    int64_t wait_us;
    bool is_loopback;
    if (token.size == 0)
        return refuse_token(call, "a registration token is required");
    if (!auth_is_on(call->api))
        return true;
    uint64_t client = key_of_client(call, &is_loopback);
    if (buckets_is_shut(&auth->failures, client, call->began_us, &wait_us))
        return refuse_rate(call, wait_us, "wrong tokens from this client");
    ret->rule = token_find(auth->options.tokens, auth->options.token_count, token);
    if (!ret->rule)
        return refuse_wrong_token(call, client);
    if (token_is_expired(ret->rule, engine_now(call->api->engine)))
        return refuse_expired_token(call, ret->rule);
    return true;
}

static bool refuse_name(struct api_call *call, const struct token_rule *rule, struct text key)
{
    char space[ERR_EXCERPT_SIZE];
    struct log_field fields[4] = { { "rule", rule->name }, { "instance", key } };
    warn(call, "a registration was refused: its token is for other names", fields, 2);
    err_set(&call->err, ERR_FORBIDDEN, "this registration token is not for an instance \"%s\"",
            err_excerpt(key, space));
    return refuse(call, AUTH_NAME);
}

static bool refuse_takeover(struct api_call *call, struct text key)
{
    char space[ERR_EXCERPT_SIZE];
    struct log_field fields[3] = { { "instance", key } };
    warn(call, "a registration was refused: the instance is online and has its credential", fields,
         1);
    err_set(&call->err, ERR_REFUSED,
            "the instance \"%s\" is online: only who has its credential may register it again "
            "before it is offline",
            err_excerpt(key, space));
    return refuse(call, AUTH_TAKEN);
}

/* The credential that came with the request. False: none. */
static bool read_bearer(const struct api_call *call, unsigned char ret[static SECRET_HASH_SIZE])
{
    struct text field = http_field(call->x, "Authorization");
    struct text scheme;
    if (!text_cut(&field, ' ', &scheme) || !text_equal_nocase(scheme, TEXT("Bearer")))
        return false;
    struct text credential = text_trim(field);
    if (credential.size == 0 || credential.size > LIMIT_TOKEN)
        return false;
    secret_hash(credential, ret);
    return true;
}

static enum credential_kind shown_for(const struct api_call *call, uint32_t slot)
{
    unsigned char hash[SECRET_HASH_SIZE];
    enum credential_kind kind = CREDENTIAL_NONE;
    bool is_its_own = slot != FLEET_NONE && read_bearer(call, hash) &&
                      credentials_find(&call->api->auth.credentials, hash, &kind) == slot;
    return is_its_own ? kind : CREDENTIAL_NONE;
}

bool auth_registration(struct api_call *call, struct text key, struct auth_grant *grant)
{
    struct api *api = call->api;
    const struct fleet *fleet = engine_fleet(api->engine);
    uint32_t slot = fleet_find(fleet, key);
    bool has_one = slot != FLEET_NONE && credentials_has(&api->auth.credentials, slot);
    if (!grant->rule) /* an open server says that no credential is needed, and then none is kept */
        return !has_one || prepare(call, grant);
    if (grant->rule->pattern.size > 0 && !pattern_matches(grant->rule->pattern, key))
        return refuse_name(call, grant->rule, key);
    grant->shown = shown_for(call, slot);
    bool is_online = slot != FLEET_NONE && fleet_at(fleet, slot)->presence == PRESENCE_ONLINE;
    if (has_one && is_online && grant->shown == CREDENTIAL_NONE)
        return refuse_takeover(call, key);
    return prepare(call, grant);
}

void auth_grant(struct api_call *call, struct auth_grant *grant, uint32_t slot,
                char ret[static SECRET_TEXT_SIZE])
{
    unsigned char hash[SECRET_HASH_SIZE];
    ret[0] = '\0';
    if (!grant->rule) {
        revoke(grant, slot);
        return;
    }
    secret_make(SECRET_CREDENTIAL, ret);
    secret_hash(text_from(ret), hash);
    credentials_replace(&call->api->auth.credentials, slot, hash, grant->shown,
                        &grant->waiter->change);
    commit(grant, slot);
}

/* ---- deletions ------------------------------------------------------------------------------ */

bool auth_deletion(struct api_call *call, uint32_t slot, struct auth_grant *ret)
{
    return !credentials_has(&call->api->auth.credentials, slot) || prepare(call, ret);
}

void auth_forget(struct auth_grant *grant, uint32_t slot)
{
    revoke(grant, slot);
}

/* ---- heartbeats ----------------------------------------------------------------------------- */

static bool refuse_credential(struct api_call *call, const char *why)
{
    err_set(&call->err, ERR_UNAUTHENTICATED, "%s", why);
    return refuse(call, AUTH_CREDENTIAL);
}

/* Counted by client and instance: a fleet behind one address whose credentials were lost with a
 * restored store must hear of it, each of it. */
static bool counts_failure(struct api_call *call)
{
    struct auth *auth = &call->api->auth;
    int64_t wait_us;
    bool is_loopback;
    uint64_t key = text_hash(call->parts[0], key_of_client(call, &is_loopback));
    if (buckets_is_shut(&auth->failures, key, call->began_us, &wait_us))
        return refuse_rate(call, wait_us, "wrong credentials for this instance");
    buckets_fail(&auth->failures, key, call->began_us);
    return true;
}

static bool refuse_foreign(struct api_call *call, uint32_t owner)
{
    const struct fleet *fleet = engine_fleet(call->api->engine);
    struct log_field fields[4] = { { "instance", call->parts[0] },
                                   { "owner", instance_key(fleet_at(fleet, owner)) } };
    warn(call, "an instance tried to report for another one", fields, 2);
    err_set(&call->err, ERR_FORBIDDEN, "this credential is that of another instance");
    return refuse(call, AUTH_FOREIGN);
}

/* The answer with the present credential arrived: whoever held the one before is somebody else. */
static void retire_previous(struct api *api, uint32_t slot)
{
    if (!credentials_previous(&api->auth.credentials, slot) || !engine_is_writable(api->engine))
        return;
    credentials_retire(&api->auth.credentials, slot);
    store(api, slot);
    polls_release(api, slot);
}

bool auth_heartbeat(struct api_call *call, uint32_t *ret_slot)
{
    struct api *api = call->api;
    unsigned char hash[SECRET_HASH_SIZE];
    enum credential_kind kind = CREDENTIAL_NONE;
    if (!auth_is_on(api)) {
        *ret_slot = api_instance(call);
        return *ret_slot != FLEET_NONE;
    }
    if (!read_bearer(call, hash))
        return refuse_credential(call, "the credential of the instance is required, as "
                                       "\"Authorization: Bearer ...\"");
    uint32_t owner = credentials_find(&api->auth.credentials, hash, &kind);
    if (owner == CREDENTIAL_NOBODY)
        return counts_failure(call) && refuse_credential(call, "this credential is not known");
    if (owner != fleet_find(engine_fleet(api->engine), call->parts[0]))
        return counts_failure(call) && refuse_foreign(call, owner);
    if (!admits_instance(call, owner))
        return false;
    if (kind == CREDENTIAL_PRESENT)
        retire_previous(api, owner);
    *ret_slot = owner;
    return true;
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool open_buckets(struct auth *auth)
{
    const struct auth_limits *limits = &auth->options.limits;
    bool is_on = auth->options.token_count > 0;
    uint32_t requests = limits->requests_per_second;
    uint32_t heartbeats = is_on ? limits->heartbeats_per_second : 0;
    uint32_t failures = is_on ? limits->failures_per_minute : 0;
    return buckets_init(&auth->clients, &memory_heap, CLIENTS_MAX, requests, SECOND_US,
                        2 * requests) &&
           buckets_init(&auth->instances, &memory_heap, INSTANCES_MAX, heartbeats, SECOND_US,
                        2 * heartbeats) &&
           buckets_init(&auth->failures, &memory_heap, CLIENTS_MAX, failures, 60 * SECOND_US,
                        failures) &&
           buckets_init(&auth->lines, &memory_heap, 8, LINES_PER_SECOND, SECOND_US,
                        10 * LINES_PER_SECOND);
}

bool auth_open(struct api *api, const struct api_options *options, struct err *err)
{
    struct auth *auth = &api->auth;
    auth->options = options->auth;
    auth->log = options->log;
    credentials_init(&auth->credentials, &memory_heap);
    if (!secret_open(err))
        return false;
    auth->seed = secret_seed();
    return open_buckets(auth) || err_set(err, ERR_MEMORY, "no memory to count clients");
}

void auth_close(struct api *api)
{
    struct auth *auth = &api->auth;
    buckets_release(&auth->clients);
    buckets_release(&auth->instances);
    buckets_release(&auth->failures);
    buckets_release(&auth->lines);
    credentials_release(&auth->credentials);
}
