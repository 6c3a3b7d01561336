/* SPDX-License-Identifier: Apache-2.0
 * timers.c - a heap with four children a node in front of a ring of buckets. See timers.h.
 *
 * All arrays are one block, so that growing either happens or does not; setting a timer needs no
 * memory. A bucket is a list of pages of which only the first has room: with a page for each bucket
 * and one for every PAGE_ITEMS items there is always one. */
#include "base/timers.h"

#include <assert.h>
#include <string.h>

#define CHILDREN    4u /* half as deep as two, and siblings share a cache line */
#define BUCKETS     16384u
#define BUCKET_BITS 4       /* 16 ms: the ring reaches 262 s, further than most timers */
#define LATER       BUCKETS /* the bucket of all that is due after that */
#define RING_MIN    4096u   /* items: below that a heap alone is as fast */
#define PAGE_ITEMS  14u
#define PAGE_NONE   UINT32_MAX
#define IN_A_PAGE   (1u << 31) /* in a place: the rest is the page and, in 4 bits, where in it */

struct timer_page {
    uint32_t next; /* in its bucket, or among the free ones */
    uint16_t bucket, fill;
    uint32_t items[PAGE_ITEMS];
};
_Static_assert(sizeof(struct timer_page) == 64, "one cache line");

/* ---- room ----------------------------------------------------------------------------------- */

static size_t pages_for(size_t capacity)
{
    return capacity < RING_MIN ? 0 : capacity / PAGE_ITEMS + BUCKETS + 2;
}

static size_t buckets_for(size_t capacity)
{
    return capacity < RING_MIN ? 0 : BUCKETS + 1;
}

static size_t block_size(size_t capacity)
{
    size_t item_size = sizeof(struct timer_entry) + sizeof(int64_t) + sizeof(uint32_t);
    return pages_for(capacity) * sizeof(struct timer_page) +
           buckets_for(capacity) * sizeof(uint32_t) + capacity * item_size;
}

void timers_init(struct timers *t, const struct memory *memory)
{
    *t = (struct timers){ .memory = memory, .free_page = PAGE_NONE };
}

void timers_release(struct timers *t)
{
    if (t->heap)
        memory_give(t->memory, t->heap, block_size(t->capacity));
    timers_init(t, t->memory);
}

/* Divides a block among the arrays. */
static void lay_out(struct timers *t, void *block, uint32_t capacity)
{
    size_t pages = pages_for(capacity);
    t->heap = block;
    t->dues = (int64_t *)(t->heap + capacity);
    t->pages = pages > 0 ? (struct timer_page *)(t->dues + capacity) : NULL;
    t->buckets = pages > 0 ? (uint32_t *)(t->pages + pages) : NULL;
    t->places = pages > 0 ? t->buckets + BUCKETS + 1 : (uint32_t *)(t->dues + capacity);
    t->page_capacity = (uint32_t)pages;
    t->capacity = capacity;
}

static void copy_items(struct timers *to, const struct timers *from)
{
    for (uint32_t i = from->capacity; i < to->capacity; i++)
        to->dues[i] = TIMERS_NEVER;
    memset(to->places + from->capacity, 0, (to->capacity - from->capacity) * sizeof *to->places);
    if (from->capacity == 0)
        return;
    memcpy(to->heap, from->heap, from->near_count * sizeof *to->heap);
    memcpy(to->dues, from->dues, from->capacity * sizeof *to->dues);
    memcpy(to->places, from->places, from->capacity * sizeof *to->places);
}

static int64_t bucket_of(int64_t due)
{
    return due >> BUCKET_BITS;
}

/* Those that stand in the heap already stay there. */
static void copy_buckets(struct timers *to, const struct timers *from)
{
    if (!to->pages)
        return;
    if (from->pages) {
        memcpy(to->pages, from->pages, from->page_count * sizeof *to->pages);
        memcpy(to->buckets, from->buckets, (BUCKETS + 1) * sizeof *to->buckets);
        return;
    }
    memset(to->buckets, 0xff, (BUCKETS + 1) * sizeof *to->buckets); /* PAGE_NONE */
    to->opened = to->near_count > 0 ? bucket_of(to->heap[0].due) + 1 : 0;
}

bool timers_reserve(struct timers *t, uint32_t count)
{
    if (count <= t->capacity)
        return true;
    /* At least half as much again, so that growing one by one stays linear in all. */
    uint64_t capacity = (uint64_t)t->capacity + t->capacity / 2;
    if (capacity < count)
        capacity = count;
    if (capacity >= IN_A_PAGE / 2)
        return false;
    void *block = memory_take(t->memory, block_size((size_t)capacity));
    if (!block)
        return false;
    struct timers old = *t;
    lay_out(t, block, (uint32_t)capacity);
    copy_items(t, &old);
    copy_buckets(t, &old);
    if (old.heap)
        memory_give(t->memory, old.heap, block_size(old.capacity));
    return true;
}

/* ---- the heap ------------------------------------------------------------------------------- */

static bool is_before(struct timer_entry a, struct timer_entry b)
{
    return a.due != b.due ? a.due < b.due : a.item < b.item;
}

static void put(struct timers *t, uint32_t at, struct timer_entry entry)
{
    t->heap[at] = entry;
    t->places[entry.item] = at + 1;
}

/* Moves the hole at `at` up to where `entry` may stand; returns that place. */
static uint32_t rise(struct timers *t, uint32_t at, struct timer_entry entry)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / CHILDREN;
        if (!is_before(entry, t->heap[parent]))
            break;
        put(t, at, t->heap[parent]);
        at = parent;
    }
    return at;
}

/* The earliest child of `at`, or t->near_count. */
static uint32_t earliest_child(const struct timers *t, uint32_t at)
{
    uint64_t first = (uint64_t)at * CHILDREN + 1;
    if (first >= t->near_count)
        return t->near_count;
    uint64_t end = first + CHILDREN < t->near_count ? first + CHILDREN : t->near_count;
    uint32_t best = (uint32_t)first;
    for (uint32_t child = best + 1; child < end; child++)
        if (is_before(t->heap[child], t->heap[best]))
            best = child;
    return best;
}

static uint32_t sink(struct timers *t, uint32_t at, struct timer_entry entry)
{
    for (;;) {
        uint32_t child = earliest_child(t, at);
        if (child == t->near_count || !is_before(t->heap[child], entry))
            return at;
        put(t, at, t->heap[child]);
        at = child;
    }
}

/* Puts `entry` into the hole at `at`, or where the order wants it. */
static void settle(struct timers *t, uint32_t at, struct timer_entry entry)
{
    uint32_t place = rise(t, at, entry);
    if (place == at)
        place = sink(t, at, entry);
    put(t, place, entry);
}

static void add_near(struct timers *t, uint32_t item)
{
    settle(t, t->near_count++, (struct timer_entry){ t->dues[item], item });
}

static void remove_near(struct timers *t, uint32_t hole)
{
    t->near_count--;
    if (hole < t->near_count)
        settle(t, hole, t->heap[t->near_count]);
}

/* ---- buckets -------------------------------------------------------------------------------- */

static uint32_t take_page(struct timers *t)
{
    uint32_t page = t->free_page;
    if (page != PAGE_NONE)
        t->free_page = t->pages[page].next;
    else
        page = t->page_count++;
    assert(page < t->page_capacity);
    return page;
}

static void give_page(struct timers *t, uint32_t page)
{
    t->pages[page].next = t->free_page;
    t->free_page = page;
}

static void add_page(struct timers *t, uint32_t bucket)
{
    uint32_t page = take_page(t);
    t->pages[page].next = t->buckets[bucket];
    t->pages[page].bucket = (uint16_t)bucket;
    t->pages[page].fill = 0;
    t->buckets[bucket] = page;
}

static void put_in_page(struct timers *t, uint32_t page, uint32_t at, uint32_t item)
{
    t->pages[page].items[at] = item;
    t->places[item] = IN_A_PAGE | page << 4 | at;
}

static void add_far(struct timers *t, uint32_t item)
{
    int64_t number = bucket_of(t->dues[item]);
    bool is_later = number - t->opened >= BUCKETS;
    uint32_t bucket = is_later ? LATER : (uint32_t)number % BUCKETS;
    if (is_later && (t->buckets[LATER] == PAGE_NONE || number < t->later_from))
        t->later_from = number;
    uint32_t page = t->buckets[bucket];
    if (page == PAGE_NONE || t->pages[page].fill == PAGE_ITEMS)
        add_page(t, bucket);
    page = t->buckets[bucket];
    put_in_page(t, page, t->pages[page].fill++, item);
}

/* The newest of the bucket takes its place. */
static void remove_far(struct timers *t, uint32_t place)
{
    uint32_t page = (place & ~IN_A_PAGE) >> 4, at = place & 15u;
    uint32_t bucket = t->pages[page].bucket, first = t->buckets[bucket];
    uint32_t last = t->pages[first].items[--t->pages[first].fill];
    if (first != page || t->pages[first].fill != at)
        put_in_page(t, page, at, last);
    if (t->pages[first].fill > 0)
        return;
    t->buckets[bucket] = t->pages[first].next;
    give_page(t, first);
}

/* Takes all items of a bucket, page by page, to where they belong now. */
static void empty_bucket(struct timers *t, uint32_t bucket, void (*add)(struct timers *, uint32_t))
{
    uint32_t page = t->buckets[bucket];
    t->buckets[bucket] = PAGE_NONE;
    while (page != PAGE_NONE) {
        const struct timer_page taken = t->pages[page];
        for (uint32_t i = 0; i < taken.fill; i++) {
            __builtin_prefetch(&t->dues[taken.items[i]]);
            __builtin_prefetch(&t->places[taken.items[i]], 1);
        }
        give_page(t, page);
        for (uint32_t i = 0; i < taken.fill; i++)
            add(t, taken.items[i]);
        page = taken.next;
    }
}

/* The number of the first bucket of the ring that has items, from t->opened to `last`, or
 * INT64_MAX. */
static int64_t next_in_ring(const struct timers *t, int64_t last)
{
    for (int64_t number = t->opened; number < t->opened + BUCKETS && number <= last; number++)
        if (t->buckets[(uint32_t)number % BUCKETS] != PAGE_NONE)
            return number;
    return INT64_MAX;
}

/* When time comes to what was too late for the ring, most of it is not any more. */
static void deal_later_out(struct timers *t)
{
    t->opened = t->later_from;
    empty_bucket(t, LATER, add_far);
}

/* Makes the first of the heap the first of all. */
static void open_buckets(struct timers *t)
{
    while (t->near_count < t->count &&
           (t->near_count == 0 || bucket_of(t->heap[0].due) >= t->opened)) {
        int64_t wanted = t->near_count > 0 ? bucket_of(t->heap[0].due) : INT64_MAX;
        int64_t next = next_in_ring(t, wanted);
        bool has_later = t->buckets[LATER] != PAGE_NONE;
        if (has_later && t->later_from <= next && t->later_from <= wanted) {
            deal_later_out(t);
            continue;
        }
        t->opened = (next < wanted ? next : wanted) + 1;
        if (next > wanted)
            return;
        t->openings++;
        empty_bucket(t, (uint32_t)next % BUCKETS, add_near);
    }
}

/* ---- from outside --------------------------------------------------------------------------- */

/* Out of where it stands, but for the heap's first, which must be made right after. */
static void take_out(struct timers *t, uint32_t item)
{
    uint32_t place = t->places[item];
    if (place & IN_A_PAGE)
        remove_far(t, place);
    else
        remove_near(t, place - 1);
    t->places[item] = 0;
    t->dues[item] = TIMERS_NEVER;
    t->count--;
}

void timers_set(struct timers *t, uint32_t item, int64_t due)
{
    assert(item < t->capacity);
    if (due == TIMERS_NEVER) {
        timers_clear(t, item);
        return;
    }
    if (t->dues[item] == due)
        return;
    uint32_t place = t->places[item];
    if (t->count == (place ? 1 : 0) && t->pages)
        t->opened = bucket_of(due) + 1; /* alone: nothing waits in a bucket but perhaps itself */
    bool is_near = !t->pages || bucket_of(due) < t->opened;
    if (place && !(place & IN_A_PAGE) && is_near) {
        t->dues[item] = due;
        settle(t, place - 1, (struct timer_entry){ due, item });
    } else {
        if (place)
            take_out(t, item);
        t->dues[item] = due;
        t->count++;
        if (is_near)
            add_near(t, item);
        else
            add_far(t, item);
    }
    open_buckets(t);
}

void timers_clear(struct timers *t, uint32_t item)
{
    if (item >= t->capacity || t->places[item] == 0)
        return;
    take_out(t, item);
    open_buckets(t);
}

void timers_clear_all(struct timers *t)
{
    for (uint32_t i = 0; i < t->capacity && t->count > 0; i++) {
        t->dues[i] = TIMERS_NEVER;
        t->places[i] = 0;
    }
    t->count = t->near_count = t->page_count = 0;
    t->free_page = PAGE_NONE;
    if (t->buckets)
        memset(t->buckets, 0xff, (BUCKETS + 1) * sizeof *t->buckets); /* PAGE_NONE */
}

int64_t timers_due(const struct timers *t, uint32_t item)
{
    return item < t->capacity ? t->dues[item] : TIMERS_NEVER;
}

uint32_t timers_first(const struct timers *t, int64_t *ret_due)
{
    if (t->count == 0) {
        *ret_due = TIMERS_NEVER;
        return TIMERS_NONE;
    }
    *ret_due = t->heap[0].due;
    return t->heap[0].item;
}
