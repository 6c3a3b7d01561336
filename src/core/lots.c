/* SPDX-License-Identifier: Apache-2.0
 * lots.c - queues of candidates by wave and failure domains. See lots.h. */
#include "core/lots.h"

#include "core/fleet.h"

#include <assert.h>

#define FIRST_AVAILABLE 3u /* the classes of HEALTHY candidates, of originals and of joiners */
#define LATER_AVAILABLE 7u

static bool is_available(uint32_t class)
{
    return class == FIRST_AVAILABLE || class == LATER_AVAILABLE;
}

static struct queue *queue_at(const struct lots *lots, uint32_t id)
{
    return &lots->list[id / LOT_CLASSES].queues[id % LOT_CLASSES];
}

/* ---- limits of domains ---------------------------------------------------------------------- */

uint32_t lots_room(const struct lots *lots, const struct cell *cell)
{
    const struct domain_config *domain = &lots->rollout->config.domains[cell->domain];
    return domain->has_max_in_progress ? amount_down(domain->max_in_progress, cell->tally.total)
                                       : UINT32_MAX;
}

uint32_t lots_failures(const struct lots *lots, const struct cell *cell)
{
    const struct domain_config *domain = &lots->rollout->config.domains[cell->domain];
    if (!domain->has_max_failed)
        return UINT32_MAX;
    uint32_t limit = amount_up(domain->max_failed, cell->tally.total);
    return limit > 0 ? limit : 1;
}

static bool has_room(const struct lots *lots, const struct cell *cell)
{
    return cell->busy < lots_room(lots, cell);
}

static bool is_breached(const struct lots *lots, const struct cell *cell)
{
    return cell->tally.failed - cell->tally.acknowledged >= lots_failures(lots, cell);
}

/* ---- where queues stand --------------------------------------------------------------------- */

static uint32_t *place_of(struct lots *lots, uint32_t id)
{
    uint32_t at = queue_at(lots, id)->at;
    assert(at != QUEUE_OUT);
    return at == QUEUE_READY ? &lots->ready[id % LOT_CLASSES]
                             : &lots->cells[at].parked[id % LOT_CLASSES];
}

static void take_out(struct lots *lots, uint32_t id)
{
    struct queue *q = queue_at(lots, id);
    if (q->at == QUEUE_OUT)
        return;
    ordered_remove(&lots->order, place_of(lots, id), id);
    if (q->at != QUEUE_READY)
        lots->parked--;
    q->at = QUEUE_OUT;
}

static void put(struct lots *lots, uint32_t id, uint32_t at)
{
    struct queue *q = queue_at(lots, id);
    assert(q->at == QUEUE_OUT && q->head != ORDERED_NONE);
    q->at = at;
    if (at != QUEUE_READY)
        lots->parked++;
    ordered_insert(&lots->order, place_of(lots, id), id);
}

/* The first parked queue of each class becomes ready, when there is room for its candidates. */
static void wake_cell(struct lots *lots, const struct cell *cell)
{
    if (lots->parked == 0 || !has_room(lots, cell))
        return;
    for (uint32_t class = 0; class < LOT_CLASSES; class ++) {
        uint32_t id = ordered_first(&lots->order, cell->parked[class]);
        if (id == ORDERED_NONE)
            continue;
        take_out(lots, id);
        put(lots, id, QUEUE_READY);
    }
}

static void wake_domains(struct lots *lots, uint32_t lot)
{
    for (uint32_t d = 0; d < lots->rollout->config.domain_count; d++)
        wake_cell(lots, &lots->cells[lots->list[lot].cells[d]]);
}

/* After the head of a queue changed, or before that: out, then in again where it belongs. */
static void settle(struct lots *lots, uint32_t id)
{
    uint32_t lot = id / LOT_CLASSES;
    const struct queue *q = queue_at(lots, id);
    if (q->head != ORDERED_NONE && lots->list[lot].wave < lots->admitted)
        put(lots, id, QUEUE_READY);
    wake_domains(lots, lot);
}

static int compare_queues(const void *ctx, uint32_t a, uint32_t b)
{
    const struct lots *lots = ctx;
    uint32_t head_a = queue_at(lots, a)->head, head_b = queue_at(lots, b)->head;
    const struct fleet *fleet = lots->fleet;
    return text_compare(instance_key(fleet_at(fleet, head_a)),
                        instance_key(fleet_at(fleet, head_b)));
}

/* ---- life ----------------------------------------------------------------------------------- */

static uint32_t add_lot(struct lots *lots, uint32_t wave, const uint32_t *cells);

bool lots_init(struct lots *lots, struct fleet *fleet, const struct rollout *r)
{
    const struct memory *memory = fleet->memory;
    *lots = (struct lots){ .fleet = fleet, .rollout = r, .is_filling = true };
    map_init(&lots->by_place, memory);
    map_init(&lots->by_value, memory);
    ordered_init(&lots->order, memory, compare_queues, lots);
    for (uint32_t class = 0; class < LOT_CLASSES; class ++)
        lots->ready[class] = ORDERED_NONE;
    static const uint32_t no_cells[LIMIT_DOMAINS];
    for (uint32_t wave = 0; r->config.domain_count == 0 && wave < r->wave_count; wave++) {
        if (!lots_reserve(lots))
            return false;
        add_lot(lots, wave, no_cells);
    }
    return true;
}

void lots_release(struct lots *lots)
{
    if (!lots->fleet)
        return;
    const struct memory *memory = lots->fleet->memory;
    for (uint32_t i = 0; i < lots->cell_count; i++)
        if (lots->cells[i].value != LABELS_ABSENT)
            intern_drop(&lots->fleet->texts, lots->cells[i].value);
    memory_give(memory, lots->list, lots->capacity * sizeof lots->list[0]);
    memory_give(memory, lots->cells, lots->cell_capacity * sizeof lots->cells[0]);
    map_release(&lots->by_place);
    map_release(&lots->by_value);
    ordered_release(&lots->order);
    *lots = (struct lots){ .count = 0 };
}

void lots_clear(struct lots *lots, uint32_t admitted)
{
    /* Nothing is compared: heads may be instances that are gone. */
    for (uint32_t id = 0; id < lots->count * LOT_CLASSES; id++)
        *queue_at(lots, id) = (struct queue){ ORDERED_NONE, ORDERED_NONE, QUEUE_OUT };
    for (uint32_t class = 0; class < LOT_CLASSES; class ++)
        lots->ready[class] = ORDERED_NONE;
    for (uint32_t i = 0; i < lots->cell_count; i++) {
        struct cell *cell = &lots->cells[i];
        for (uint32_t class = 0; class < LOT_CLASSES; class ++)
            cell->parked[class] = ORDERED_NONE;
        cell->tally = (struct tally){ .total = 0 };
        cell->busy = 0;
        cell->is_breached = false;
    }
    lots->breached = lots->parked = 0;
    lots->admitted = admitted;
}

/* ---- finding -------------------------------------------------------------------------------- */

struct lot_key {
    const struct lots *lots;
    uint32_t wave;
    const uint32_t *cells;
};

static uint64_t hash_words(uint64_t hash, const uint32_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

static bool lot_is(const void *ctx, uint32_t item, const void *key)
{
    const struct lots *lots = ctx;
    const struct lot_key *k = key;
    return lots->list[item].wave == k->wave &&
           memcmp(lots->list[item].cells, k->cells, sizeof lots->list[item].cells) == 0;
}

static uint64_t lot_hash(uint32_t wave, const uint32_t *cells)
{
    return hash_words(hash_words(1, &wave, 1), cells, LIMIT_DOMAINS);
}

struct cell_key {
    uint32_t domain, value;
};

static bool cell_is(const void *ctx, uint32_t item, const void *key)
{
    const struct lots *lots = ctx;
    const struct cell_key *k = key;
    return lots->cells[item].domain == k->domain && lots->cells[item].value == k->value;
}

static uint32_t find_cell(const struct lots *lots, uint32_t domain, uint32_t value)
{
    struct cell_key key = { domain, value };
    return map_find(&lots->by_value, hash_words(2, &key.domain, 2), cell_is, lots, &key);
}

static uint32_t value_of(const struct lots *lots, uint32_t domain, uint32_t labels)
{
    return labels_value_id(&lots->fleet->labels, labels,
                           lots->rollout->config.domains[domain].label);
}

/* The cell of a value; where there would be too many, the one of those without the label. */
static uint32_t nearest_cell(const struct lots *lots, uint32_t domain, uint32_t labels)
{
    uint32_t cell = find_cell(lots, domain, value_of(lots, domain, labels));
    if (cell == MAP_NONE && lots->cell_count >= LIMIT_DOMAIN_CELLS)
        cell = find_cell(lots, domain, LABELS_ABSENT);
    return cell;
}

uint32_t lots_find(const struct lots *lots, uint32_t wave, uint32_t labels)
{
    uint32_t cells[LIMIT_DOMAINS] = { 0 };
    if (lots->rollout->config.domain_count == 0)
        return wave;
    for (uint32_t d = 0; d < lots->rollout->config.domain_count; d++) {
        cells[d] = nearest_cell(lots, d, labels);
        if (cells[d] == MAP_NONE)
            return LOT_NONE;
    }
    struct lot_key key = { .wave = wave, .cells = cells };
    return map_find(&lots->by_place, lot_hash(wave, cells), lot_is, lots, &key);
}

static bool grow(const struct memory *memory, void **items, uint32_t *capacity, uint32_t wanted,
                 size_t item_size)
{
    if (wanted <= *capacity)
        return true;
    uint32_t next = *capacity ? *capacity * 2 : 8;
    assert(next >= wanted); /* it grows by one lot, and by the cells of one */
    void *grown = memory->resize(memory->ctx, *items, *capacity * item_size, next * item_size);
    if (!grown)
        return false;
    *items = grown;
    *capacity = next;
    return true;
}

bool lots_reserve(struct lots *lots)
{
    const struct memory *memory = lots->fleet->memory;
    /* One per label, and the one of those without it. */
    uint32_t cells = lots->cell_count + 2 * lots->rollout->config.domain_count;
    return grow(memory, (void **)&lots->list, &lots->capacity, lots->count + 1,
                sizeof lots->list[0]) &&
           grow(memory, (void **)&lots->cells, &lots->cell_capacity, cells,
                sizeof lots->cells[0]) &&
           map_reserve(&lots->by_place, lots->count + 1u) && map_reserve(&lots->by_value, cells) &&
           ordered_reserve(&lots->order, (lots->count + 1) * LOT_CLASSES);
}

static uint32_t add_lot(struct lots *lots, uint32_t wave, const uint32_t *cells)
{
    assert(lots->count < lots->capacity);
    uint32_t id = lots->count++;
    struct lot *lot = &lots->list[id];
    lot->wave = wave;
    memcpy(lot->cells, cells, sizeof lot->cells);
    for (uint32_t class = 0; class < LOT_CLASSES; class ++)
        lot->queues[class] = (struct queue){ ORDERED_NONE, ORDERED_NONE, QUEUE_OUT };
    bool added = map_insert(&lots->by_place, lot_hash(wave, cells), id);
    assert(added);
    return id;
}

static void each_busy(struct lots *lots, void (*visit)(struct lots *, void *, uint32_t labels),
                      void *ctx)
{
    const struct fleet *fleet = lots->fleet;
    for (size_t i = 0; i < FLEET_LIVE_MAX; i++) {
        uint32_t root = fleet->live[i] ? fleet->live[i]->sets[SET_BUSY] : ORDERED_NONE;
        for (uint32_t slot = ordered_first(&fleet->members, root); slot != ORDERED_NONE;
             slot = ordered_after(&fleet->members, root, slot))
            visit(lots, ctx, fleet_at(fleet, slot)->labels);
    }
}

static void count_if_equal(struct lots *lots, void *ctx, uint32_t labels)
{
    struct cell *cell = ctx;
    cell->busy += value_of(lots, cell->domain, labels) == cell->value ? 1 : 0;
}

static uint32_t add_cell(struct lots *lots, uint32_t domain, uint32_t value)
{
    assert(lots->cell_count < lots->cell_capacity);
    uint32_t id = lots->cell_count++;
    struct cell_key key = { domain, value };
    struct cell *cell = &lots->cells[id];
    *cell = (struct cell){ .domain = (uint8_t)domain, .value = value };
    if (value != LABELS_ABSENT)
        intern_share(&lots->fleet->texts, value);
    for (uint32_t class = 0; class < LOT_CLASSES; class ++)
        cell->parked[class] = ORDERED_NONE;
    if (!lots->is_filling)
        each_busy(lots, count_if_equal, cell);
    bool added = map_insert(&lots->by_value, hash_words(2, &key.domain, 2), id);
    assert(added);
    return id;
}

static uint32_t get_cell(struct lots *lots, uint32_t domain, uint32_t labels)
{
    uint32_t cell = nearest_cell(lots, domain, labels);
    if (cell != MAP_NONE)
        return cell;
    bool is_too_many = lots->cell_count >= LIMIT_DOMAIN_CELLS;
    return add_cell(lots, domain, is_too_many ? LABELS_ABSENT : value_of(lots, domain, labels));
}

uint32_t lots_get(struct lots *lots, uint32_t wave, uint32_t labels)
{
    uint32_t lot = lots_find(lots, wave, labels);
    if (lot != LOT_NONE)
        return lot;
    uint32_t cells[LIMIT_DOMAINS] = { 0 };
    for (uint32_t d = 0; d < lots->rollout->config.domain_count; d++)
        cells[d] = get_cell(lots, d, labels);
    return add_lot(lots, wave, cells);
}

/* ---- counting ------------------------------------------------------------------------------- */

void tally_count(struct tally *tally, const struct placement *p, uint32_t one)
{
    /* `one` is 1 or its two's complement negative: unsigned arithmetic wraps by definition. */
    tally->total += one;
    tally->pending += p->state == MEMBER_PENDING ? one : 0;
    tally->pending_online += p->state == MEMBER_PENDING && p->is_online ? one : 0;
    tally->retrying += p->is_retrying ? one : 0;
    tally->in_progress += p->state == MEMBER_IN_PROGRESS ? one : 0;
    tally->settling += p->is_settling ? one : 0;
    tally->completed += p->state == MEMBER_COMPLETED || p->state == MEMBER_NOT_NEEDED ? one : 0;
    tally->already_current += p->state == MEMBER_NOT_NEEDED ? one : 0;
    tally->failed += p->state == MEMBER_FAILED ? one : 0;
    tally->acknowledged += p->is_acknowledged ? one : 0;
    tally->offline += p->is_online ? 0 : one;
    tally->available += p->is_available ? one : 0;
}

/* Percentages move with the number of members, so room may appear as well as a breach. */
static void review_cell(struct lots *lots, struct cell *cell)
{
    bool is_now = is_breached(lots, cell);
    if (is_now != cell->is_breached)
        lots->breached += is_now ? 1 : UINT32_MAX;
    cell->is_breached = is_now;
    wake_cell(lots, cell);
}

void lots_count(struct lots *lots, const struct placement *p, uint32_t one)
{
    for (uint32_t d = 0; d < lots->rollout->config.domain_count; d++) {
        struct cell *cell = &lots->cells[lots->list[p->lot].cells[d]];
        tally_count(&cell->tally, p, one);
        review_cell(lots, cell);
    }
}

static void count_busy(struct lots *lots, uint32_t labels, uint32_t one)
{
    for (uint32_t d = 0; d < lots->rollout->config.domain_count; d++) {
        uint32_t id = nearest_cell(lots, d, labels);
        if (id == MAP_NONE)
            continue;
        struct cell *cell = &lots->cells[id];
        bool was_full = !has_room(lots, cell);
        cell->busy += one;
        lots->has_new_room |= was_full && has_room(lots, cell);
        wake_cell(lots, cell);
    }
}

void lots_count_busy(struct lots *lots, uint32_t labels, uint32_t one)
{
    if (!lots->is_filling)
        count_busy(lots, labels, one);
}

/* ---- queues --------------------------------------------------------------------------------- */

void lots_begin(struct lots *lots)
{
    lots->is_filling = true;
}

void lots_append(struct lots *lots, uint32_t lot, uint32_t class, uint32_t slot)
{
    struct queue *q = &lots->list[lot].queues[class];
    assert(lots->is_filling && q->at == QUEUE_OUT);
    if (q->head == ORDERED_NONE)
        q->head = slot;
    ordered_append(&lots->fleet->members, &q->root, slot);
}

static void count_one_busy(struct lots *lots, void *ctx, uint32_t labels)
{
    (void)ctx;
    count_busy(lots, labels, 1);
}

void lots_finish(struct lots *lots)
{
    for (uint32_t id = 0; id < lots->count * LOT_CLASSES; id++)
        ordered_finish(&lots->fleet->members, &queue_at(lots, id)->root);
    for (uint32_t i = 0; i < lots->cell_count; i++)
        lots->cells[i].busy = 0;
    if (lots->cell_count > 0)
        each_busy(lots, count_one_busy, NULL);
    lots->is_filling = false;
    lots->has_new_room = true; /* or so it may be, for all that is known */
    uint32_t admitted = lots->admitted;
    lots->admitted = 0;
    lots_admit(lots, admitted);
}

void lots_insert(struct lots *lots, uint32_t lot, uint32_t class, uint32_t slot)
{
    uint32_t id = lot * LOT_CLASSES + class;
    struct queue *q = queue_at(lots, id);
    const struct ordered *members = &lots->fleet->members;
    bool is_head = q->head == ORDERED_NONE || members->compare(members->ctx, slot, q->head) < 0;
    if (is_head)
        take_out(lots, id);
    ordered_insert(&lots->fleet->members, &q->root, slot);
    if (!is_head)
        return;
    q->head = slot;
    settle(lots, id);
}

void lots_remove(struct lots *lots, uint32_t lot, uint32_t class, uint32_t slot)
{
    uint32_t id = lot * LOT_CLASSES + class;
    struct queue *q = queue_at(lots, id);
    bool is_head = q->head == slot;
    if (is_head)
        take_out(lots, id);
    ordered_remove(&lots->fleet->members, &q->root, slot);
    if (!is_head)
        return;
    q->head = ordered_first(&lots->fleet->members, q->root);
    settle(lots, id);
}

bool lots_has(const struct lots *lots, uint32_t lot, uint32_t class, uint32_t slot)
{
    return ordered_has(&lots->fleet->members, lots->list[lot].queues[class].root, slot);
}

void lots_admit(struct lots *lots, uint32_t waves)
{
    for (uint32_t id = 0; id < lots->count * LOT_CLASSES; id++) {
        const struct queue *q = queue_at(lots, id);
        uint32_t wave = lots->list[id / LOT_CLASSES].wave;
        if (wave >= lots->admitted && wave < waves && q->head != ORDERED_NONE)
            put(lots, id, QUEUE_READY);
    }
    assert(waves >= lots->admitted && !lots->is_filling);
    lots->admitted = waves;
}

/* ---- picking -------------------------------------------------------------------------------- */

/* A domain of the lot that has no room, or QUEUE_READY. */
static uint32_t full_domain(const struct lots *lots, uint32_t lot)
{
    for (uint32_t d = 0; d < lots->rollout->config.domain_count; d++) {
        uint32_t cell = lots->list[lot].cells[d];
        if (!has_room(lots, &lots->cells[cell]))
            return cell;
    }
    return QUEUE_READY;
}

/* The least ready queue, or ORDERED_NONE. */
static uint32_t first_ready(const struct lots *lots, bool takes_available)
{
    for (uint32_t class = 0; class < LOT_CLASSES; class ++) {
        uint32_t id = ordered_first(&lots->order, lots->ready[class]);
        if (id != ORDERED_NONE && (takes_available || !is_available(class)))
            return id;
    }
    return ORDERED_NONE;
}

uint32_t lots_next(struct lots *lots, bool takes_available)
{
    /* It ends: each queue that is parked goes to a full domain, and none gets room meanwhile. */
    for (;;) {
        uint32_t id = first_ready(lots, takes_available);
        if (id == ORDERED_NONE)
            return ORDERED_NONE;
        uint32_t full = full_domain(lots, id / LOT_CLASSES);
        if (full == QUEUE_READY)
            return queue_at(lots, id)->head;
        take_out(lots, id);
        put(lots, id, full);
        wake_domains(lots, id / LOT_CLASSES);
    }
}

bool lots_keep_available(const struct lots *lots)
{
    return lots->ready[FIRST_AVAILABLE] != ORDERED_NONE ||
           lots->ready[LATER_AVAILABLE] != ORDERED_NONE;
}

static bool has_parked(const struct cell *cell)
{
    for (uint32_t class = 0; class < LOT_CLASSES; class ++)
        if (cell->parked[class] != ORDERED_NONE)
            return true;
    return false;
}

const struct cell *lots_full_cell(const struct lots *lots)
{
    for (uint32_t i = 0; i < lots->cell_count; i++)
        if (has_parked(&lots->cells[i]) && !has_room(lots, &lots->cells[i]))
            return &lots->cells[i];
    return NULL;
}

/* ---- checking ------------------------------------------------------------------------------- */

void lots_recount_busy(const struct lots *lots, struct cell *cells, uint32_t labels)
{
    for (uint32_t d = 0; d < lots->rollout->config.domain_count; d++) {
        uint32_t cell = nearest_cell(lots, d, labels);
        if (cell != MAP_NONE)
            cells[cell].busy++;
    }
}

static const char *queue_fault(const struct lots *lots, uint32_t id)
{
    const struct queue *q = queue_at(lots, id);
    bool is_open = lots->list[id / LOT_CLASSES].wave < lots->admitted;
    if (q->head != ordered_first(&lots->fleet->members, q->root))
        return "a queue of candidates has the wrong head";
    if ((q->at != QUEUE_OUT) != (is_open && q->head != ORDERED_NONE))
        return "a queue of candidates is not where it belongs";
    uint32_t class = id % LOT_CLASSES;
    if (q->at != QUEUE_OUT) {
        uint32_t root =
            q->at == QUEUE_READY ? lots->ready[class] : lots->cells[q->at].parked[class];
        if (!ordered_has(&lots->order, root, id))
            return "a queue of candidates is missing in its order";
    }
    return NULL;
}

/* Whether nobody of a domain that has room is ready in a class where somebody is parked at it. */
static bool is_forgotten(const struct lots *lots, uint32_t cell)
{
    uint32_t domain = lots->cells[cell].domain;
    for (uint32_t class = 0; class < LOT_CLASSES; class ++) {
        bool is_awake = lots->cells[cell].parked[class] == ORDERED_NONE;
        for (uint32_t lot = 0; lot < lots->count && !is_awake; lot++)
            is_awake = lots->list[lot].cells[domain] == cell &&
                       lots->list[lot].queues[class].at == QUEUE_READY;
        if (!is_awake)
            return true;
    }
    return false;
}

const char *lots_fault(const struct lots *lots, const struct cell *cells)
{
    uint32_t parked = 0, breached = 0;
    for (uint32_t id = 0; id < lots->count * LOT_CLASSES; id++) {
        const char *fault = queue_fault(lots, id);
        uint32_t at = queue_at(lots, id)->at;
        if (fault)
            return fault;
        parked += at != QUEUE_OUT && at != QUEUE_READY ? 1 : 0;
    }
    for (uint32_t i = 0; i < lots->cell_count; i++) {
        const struct cell *cell = &lots->cells[i];
        breached += cell->is_breached ? 1 : 0;
        if (cell->is_breached != is_breached(lots, cell))
            return "a failure domain has a breach that it does not show";
        if (has_room(lots, cell) && has_parked(cell) && is_forgotten(lots, i))
            return "a failure domain has room for candidates that are parked there";
        if (cells && (memcmp(&cells[i].tally, &cell->tally, sizeof cell->tally) != 0 ||
                      cells[i].busy != cell->busy))
            return "the counters of a failure domain are not a recount";
    }
    return parked == lots->parked && breached == lots->breached
               ? NULL
               : "the number of parked queues or breached domains is not a recount";
}
