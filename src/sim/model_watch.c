/* SPDX-License-Identifier: Apache-2.0
 * model_watch.c - clients of the event stream: they read the journal as it becomes durable, leave,
 * come back with the index they saw last, and compare (I26). And what is looked at now and then of
 * the server as a whole: that it could be loaded as it is (I20), and that nothing grows (I24). */
#include "sim/model_parts.h"

#include "wire/record.h"

#define EVENT_KEY_SIZE 40
#define SCAN_MAX       64
#define ROWS_MAX       ((size_t)16 << 20)

__attribute__((format(printf, 2, 3))) static void blame(struct model *m, const char *format, ...)
{
    char said[ERR_TEXT_SIZE - 32];
    struct err err = { .code = ERR_NONE };
    va_list list;
    va_start(list, format);
    vsnprintf(said, sizeof said, format, list);
    va_end(list);
    err_set(&err, ERR_INTERNAL, "%s", said);
    model_break(m, &err);
}

/* ---- what was seen -------------------------------------------------------------------------- */

static bool has_room(struct model *m, uint64_t index)
{
    struct watch_log *log = &m->watched;
    if (index < log->capacity)
        return true;
    uint64_t next = index + index / 2 + 256;
    uint64_t *grown =
        memory_heap.resize(memory_heap.ctx, log->hashes, log->capacity * sizeof *log->hashes,
                           next * sizeof *log->hashes);
    if (!grown)
        return false;
    memset(grown + log->capacity, 0, (next - log->capacity) * sizeof *grown);
    log->hashes = grown;
    log->capacity = next;
    return true;
}

static struct text stored_event(const struct model *m, uint64_t index)
{
    char space[EVENT_KEY_SIZE];
    int size = snprintf(space, sizeof space, "event/%020llu", (unsigned long long)index);
    return vault_find(&m->vault, (struct text){ space, (size_t)size });
}

/* I26: whoever sees an entry sees the same. I29: it is stored when it is seen first. */
static void see(struct model *m, uint64_t index, struct text json)
{
    uint64_t hash = text_hash(json, index) | 1;
    if (!has_room(m, index)) {
        blame(m, "no memory for a watcher");
        return;
    }
    uint64_t *seen = &m->watched.hashes[index];
    if (*seen != 0 && *seen != hash)
        blame(m, "I26 entry %llu of the journal is another one now", (unsigned long long)index);
    bool is_kept = index >= engine_journal(m->engine)->oldest;
    if (*seen == 0 && is_kept && !text_equal(stored_event(m, index), json))
        blame(m, "I29 entry %llu of the journal is told, and not stored",
              (unsigned long long)index);
    *seen = hash;
    if (index > m->watched.newest)
        m->watched.newest = index;
}

/* ---- watchers ------------------------------------------------------------------------------- */

static void read_on(struct model_watcher *w);

static void take_old(struct engine_scan *scan)
{
    struct model_watcher *w = scan->ctx;
    struct model *m = w->model;
    w->is_scanning = false;
    if (m->is_gone || !w->is_on)
        return;
    struct text rest = buffer_text(&w->rows), line;
    if (!scan->job.succeeded && !m->vault.disk)
        blame(m, "I26 old entries cannot be read: %s", scan->job.err.text);
    while (scan->job.succeeded && text_cut(&rest, '\n', &line))
        if (line.size > 0)
            see(m, w->next++, line);
    if (!scan->job.succeeded) {
        engine_reader_remove(m->engine, &w->reader); /* a damaged disk: it is told nothing */
        w->is_on = false;
    } else if (w->next == w->scan_from)
        blame(m, "I26 entry %llu of the journal is told of, and is nowhere",
              (unsigned long long)w->next);
    else
        read_on(w);
}

/* Entries that memory does not have come from the store; older ones than it keeps are over: 410. */
static bool ask_for_old(struct model_watcher *w)
{
    struct model *m = w->model;
    const struct journal *journal = engine_journal(m->engine);
    if (w->next < journal->oldest) {
        w->next = journal->oldest;
        return false;
    }
    buffer_clear(&w->rows);
    w->scan = (struct engine_scan){ .job = { .rows = &w->rows }, .done = take_old, .ctx = w };
    w->is_scanning = true;
    w->scan_from = w->next;
    engine_read_old(m->engine, &w->scan, w->next, SCAN_MAX);
    return true;
}

static void read_on(struct model_watcher *w)
{
    const struct journal *journal = engine_journal(w->model->engine);
    while (!w->is_scanning && w->next <= journal->durable) {
        const struct journal_entry *entry = journal_at(journal, w->next);
        if (!entry && ask_for_old(w))
            return;
        if (!entry)
            continue;
        if (entry->index != w->next)
            blame(w->model, "I26 entry %llu stands at %llu", (unsigned long long)entry->index,
                  (unsigned long long)w->next);
        see(w->model, w->next++, (struct text){ entry->json, entry->size });
    }
}

static void on_more(struct engine_reader *reader)
{
    struct model_watcher *w = (struct model_watcher *)reader;
    if (!w->model->is_gone)
        read_on(w);
}

static void connect(struct model_watcher *w)
{
    w->reader.more = on_more;
    w->is_on = true;
    engine_reader_add(w->model->engine, &w->reader);
    read_on(w);
}

void watchers_toggle(struct model *m)
{
    struct model_watcher *w = &m->watchers[sim_dice_roll(&m->dice, MODEL_WATCHERS)];
    if (!m->engine || w->is_scanning)
        return;
    if (!w->is_on) {
        connect(w);
        return;
    }
    engine_reader_remove(m->engine, &w->reader);
    w->is_on = false;
}

void watchers_init(struct model *m)
{
    for (unsigned i = 0; i < MODEL_WATCHERS; i++) {
        m->watchers[i] = (struct model_watcher){ .model = m, .next = 1 };
        buffer_init(&m->watchers[i].rows, &memory_heap, ROWS_MAX);
    }
}

void watchers_release(struct model *m)
{
    for (unsigned i = 0; i < MODEL_WATCHERS; i++)
        buffer_release(&m->watchers[i].rows);
    memory_give(&memory_heap, m->watched.hashes, m->watched.capacity * sizeof *m->watched.hashes);
}

/* An older copy of the store knows nothing of what came after it. */
static void forget_newer(struct model *m, uint64_t newest)
{
    for (uint64_t i = newest + 1; i < m->watched.capacity; i++)
        m->watched.hashes[i] = 0;
    m->watched.newest = newest;
    for (unsigned i = 0; i < MODEL_WATCHERS; i++)
        if (m->watchers[i].next > newest + 1)
            m->watchers[i].next = newest + 1;
}

void watchers_load(struct model *m, bool is_older)
{
    uint64_t newest = engine_journal(m->engine)->durable;
    if (is_older && m->watched.newest > newest)
        forget_newer(m, newest);
    if (m->watched.newest > newest)
        blame(m, "I26 entry %llu of the journal was seen, and the newest is %llu",
              (unsigned long long)m->watched.newest, (unsigned long long)newest);
    for (unsigned i = 0; i < MODEL_WATCHERS; i++) {
        m->watchers[i].is_scanning = false;
        connect(&m->watchers[i]);
    }
}

/* ---- the server as a whole ------------------------------------------------------------------ */

static int64_t clock_of_store(void *self)
{
    return *(const int64_t *)self;
}

static void write_nothing(void *self, enum log_level level, const char *message,
                          const struct log_field *fields)
{
    (void)self, (void)level, (void)message, (void)fields;
}

static bool is_same(struct model *m, struct engine *loaded, struct err *err)
{
    const struct fleet *a = m->fleet, *b = engine_fleet(loaded);
    if (!vault_equals(&m->vault, b, err))
        return false;
    if (a->next_index != b->next_index || a->last_number != b->last_number)
        return err_set(err, ERR_CORRUPT, "the next entry is %llu of r-%u, and loaded %llu of r-%u",
                       (unsigned long long)a->next_index, a->last_number,
                       (unsigned long long)b->next_index, b->last_number);
    return true;
}

/* I20: loading what is stored gives what is known, record for record. No time passes for it, or
 * deadlines would move. */
void server_check_load(struct model *m)
{
    struct err why = { .code = ERR_NONE };
    struct vault copy = m->vault;
    int64_t at = MODEL_BEGIN_MS - 1; /* before all that is stored: then the stored clock counts */
    const struct clock_port clock = { .now_ms = clock_of_store, .self = &at };
    const struct log_port log = { .write = write_nothing };
    const struct engine_options options = { .fleet = m->options.settings,
                                            .reconcile_interval_ms = MODEL_RECONCILE_MS,
                                            .events_kept = m->options.events_kept,
                                            .events_kept_ms = m->options.events_kept_ms,
                                            .hash_seed = m->starts };
    struct engine *loaded = NULL;
    if (!m->engine || engine_round_of_all(m->engine) != 0 || m->vault.pending.is_there ||
        m->vault.is_harmed)
        return;
    copy.is_off = true;
    struct store_port store = vault_port(&copy);
    bool is_good = engine_new(&options, &store, &clock, &log, &loaded, &why);
    bool is_disk_off = !is_good && m->vault.disk && why.code != ERR_CORRUPT;
    if (!is_disk_off && (!is_good || !is_same(m, loaded, &why)))
        blame(m, "I20 %s", why.text);
    engine_free(loaded);
}

static uint64_t count_events(const struct model *m)
{
    const struct journal *journal = engine_journal(m->engine);
    /* What is under way may make all older ones superfluous. */
    return journal->durable < journal->oldest ? 0 : journal->durable + 1 - journal->oldest;
}

/* I24: what has a limit stays within it. K8: nothing derived had to be derived anew. */
void server_check_bounds(struct model *m)
{
    const struct fleet *fleet = m->fleet;
    struct err err = { .code = ERR_NONE };
    if (!m->engine)
        return;
    const struct journal *journal = engine_journal(m->engine);
    struct engine_stats stats = engine_stats(m->engine);
    if (stats.violations > 0)
        blame(m, "I1 the server itself found %llu faults and derived everything anew",
              (unsigned long long)stats.violations);
    if (stats.waiter_count > m->message_count + CLIENT_KEYS + 2 * m->crowd.count + 64)
        blame(m, "I24 %u answers wait", stats.waiter_count);
    if (journal->next - journal->first > JOURNAL_ENTRIES_MAX || journal->bytes > JOURNAL_BYTES_MAX)
        blame(m, "I24 the journal in memory has %llu entries and %zu bytes",
              (unsigned long long)(journal->next - journal->first), journal->bytes);
    if (count_events(m) > m->options.events_kept + EVENTS_SLACK)
        blame(m, "I24 %llu entries of the journal are kept, of at most %llu",
              (unsigned long long)count_events(m), (unsigned long long)m->options.events_kept);
    if (fleet->mark_count > FLEET_ROUNDS_MAX)
        blame(m, "I24 %u rounds are open", fleet->mark_count);
    if (!clients_hold(m, &err))
        model_break(m, &err);
}
