/* SPDX-License-Identifier: Apache-2.0
 * test_recount.c - what the recount sees: each derived thing is made wrong by hand, and
 * place_check() has to say so. A check that nothing can set off checks nothing (I1, I3, I18). */
#include "core/place.h"
#include "core/story.h"

#include "base/suite.h"

#include <string.h>

/* web-01 is in flight and fills zone a, where the others of that zone are parked; web-04 is next.
 */
struct scene {
    struct story *s;
    struct rollout *r;
    struct rollout_live *live;
    struct cell *zone_a;
};

static int setup(void **state)
{
    static struct scene scene;
    scene = (struct scene){ .s = story_new(NULL, 7) };
    struct story *s = scene.s;
    story_crowd(s);
    story_fleet(s, 5, "zone=a", "1/a");
    story_say_labels(s, "web-04", "zone=b");
    story_say_labels(s, "web-05", "zone=b");
    struct rollout_config config = story_config(2, 5);
    story_waves(s, &config, "one 4; rest");
    story_domains(s, &config, "zone max 1 fail 2");
    scene.r = story_deploy(s, "zone", "2/b", &config);
    scene.live = scene.r->live;
    for (uint32_t i = 0; i < scene.live->lots.cell_count; i++)
        if (text_equal(fleet_text(&s->fleet, scene.live->lots.cells[i].value), TEXT("a")))
            scene.zone_a = &scene.live->lots.cells[i];
    assert_non_null(scene.zone_a);
    assert_int_equal(scene.zone_a->busy, 1);
    assert_int_equal(scene.live->lots.parked, 1);
    *state = &scene;
    return 0;
}

static int teardown(void **state)
{
    story_free(((struct scene *)*state)->s);
    return 0;
}

/* The number of faults, the first of which must be told in these words. */
static size_t faults_told(const struct scene *scene, const char *words)
{
    struct err what = { .code = ERR_NONE };
    size_t faults = place_check(&scene->s->fleet, &what);
    if (faults == 0 || !strstr(what.text, words))
        fail_msg("%zu faults, \"%s\" instead of \"%s\"", faults, what.text, words);
    return faults;
}

static void assert_sound(const struct scene *scene)
{
    struct err what = { .code = ERR_NONE };
    if (place_check(&scene->s->fleet, &what) > 0)
        fail_msg("%s", what.text);
}

/* Makes one number wrong, wants it told, and puts it right again. */
static void assert_told(const struct scene *scene, uint32_t *number, uint32_t wrong,
                        const char *words)
{
    uint32_t right = *number;
    *number = wrong;
    faults_told(scene, words);
    *number = right;
    assert_sound(scene);
}

static struct lot *lot_of(const struct scene *scene, const char *name)
{
    return &scene->live->lots.list[story_instance(scene->s, name)->placed.lot];
}

/* The queue of candidates where a healthy original member waits. */
static struct queue *queue_of(const struct scene *scene, const char *name)
{
    return &lot_of(scene, name)->queues[SET_FIRST_HEALTHY - SET_FIRST_FAILED];
}

/* ---- counters ------------------------------------------------------------------------------- */

static void test_wrong_counters_are_told(void **state)
{
    const struct scene *scene = *state;
    struct fleet *fleet = &scene->s->fleet;
    struct rollout_live *live = scene->live;

    assert_told(scene, &fleet->tally.online, 1, "counters of the fleet are not a recount");
    assert_told(scene, &fleet->instance_count, 3, "number of instances is not a recount");
    assert_told(scene, &live->tally.failed, 1, "counters of a rollout are not a recount");
    assert_told(scene, &live->waves[1].pending, 7, "counters of a wave are not a recount");
    assert_told(scene, &scene->zone_a->busy, 2, "counters of a failure domain are not a recount");
    assert_told(scene, &scene->zone_a->tally.pending, 9,
                "counters of a failure domain are not a recount");
    assert_told(scene, &live->lots.parked, 2, "parked queues or breached domains is not");
    assert_told(scene, &live->lots.breached, 1, "parked queues or breached domains is not");
}

static void test_counters_that_do_not_add_up_are_told_besides(void **state)
{
    const struct scene *scene = *state;
    scene->live->tally.total++;

    assert_int_equal(faults_told(scene, "counters of a rollout are not a recount"), 2);

    scene->live->tally.total--;
    assert_sound(scene);
}

static void test_wrong_numbers_of_those_who_fell_silent_are_told(void **state)
{
    const struct scene *scene = *state;
    struct silence *silence = &scene->s->fleet.silence;

    assert_told(scene, &silence->missing, 1, "who fell silent is not a recount");
    assert_told(scene, &silence->fell[3], 1, "who fell silent is not a recount");
}

/* What would have to be counted into memory that is not there is not compared. */
static void test_without_memory_the_rest_is_compared(void **state)
{
    const struct scene *scene = *state;
    struct story *s = scene->s;
    scene->live->waves[1].pending++;
    scene->zone_a->busy++;
    faulty_memory_fail(&s->memory, 1, true);

    assert_sound(scene);
    s->fleet.tally.online++;
    faults_told(scene, "counters of the fleet");

    faulty_memory_fail(&s->memory, 0, false);
    s->fleet.tally.online--;
    faults_told(scene, "counters of a wave");
    scene->live->waves[1].pending--;
    scene->zone_a->busy--;
    assert_sound(scene);
}

/* ---- places --------------------------------------------------------------------------------- */

static void test_each_part_of_a_place_that_is_wrong_is_told(void **state)
{
    const struct scene *scene = *state;
    struct placement *placed = &story_instance(scene->s, "web-02")->placed;
    const struct placement right = *placed;
    struct placement wrong[11];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        wrong[i] = right;
    wrong[0].is_joiner = !right.is_joiner;
    wrong[1].is_online = !right.is_online;
    wrong[2].is_available = !right.is_available;
    wrong[3].is_settling = !right.is_settling;
    wrong[4].is_retrying = !right.is_retrying;
    wrong[5].is_acknowledged = !right.is_acknowledged;
    wrong[6].set = SET_FIRST_FAILED;
    wrong[7].state = MEMBER_COMPLETED;
    wrong[8].wave = 1;
    wrong[9].status = INSTANCE_FAILED;
    wrong[10].lot = story_instance(scene->s, "web-04")->placed.lot;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        *placed = wrong[i];
        faults_told(scene, "web-02: its place is not the one that follows from its record");
    }

    *placed = right;
    assert_sound(scene);
}

static void test_a_place_in_a_rollout_that_has_ended_is_told(void **state)
{
    const struct scene *scene = *state;
    struct placement *placed = &story_instance(scene->s, "web-02")->placed;
    placed->rollout += 7;

    faults_told(scene, "web-02: its place is not the one that follows from its record");

    placed->rollout -= 7;
    assert_sound(scene);
}

static void test_one_that_is_missing_in_its_set_is_told(void **state)
{
    const struct scene *scene = *state;

    assert_told(scene, &scene->live->sets[SET_BUSY], ORDERED_NONE,
                "web-01: missing in its member set");
    assert_told(scene, &queue_of(scene, "web-03")->root, ORDERED_NONE,
                "web-02: missing in its member set");
}

static void test_one_that_is_not_found_by_its_key_is_told(void **state)
{
    const struct scene *scene = *state;
    map_clear(&scene->s->fleet.keys);

    faults_told(scene, "not found by its key");

    place_rebuild(&scene->s->fleet);
    assert_sound(scene);
}

static void test_a_timer_that_is_too_late_is_told(void **state)
{
    const struct scene *scene = *state;
    uint32_t slot = fleet_find(&scene->s->fleet, TEXT("web-01"));
    timers_set(&scene->s->fleet.timers, slot, scene->s->now + 1000 * HOUR);

    faults_told(scene, "web-01: its timer is later than its due time");

    place_arm(&scene->s->fleet, slot);
    assert_sound(scene);
}

/* ---- candidates ----------------------------------------------------------------------------- */

static void test_wrong_queues_of_candidates_are_told(void **state)
{
    const struct scene *scene = *state;
    struct queue *closed = queue_of(scene, "web-05");
    struct queue *parked = queue_of(scene, "web-02");
    struct lots *lots = &scene->live->lots;
    uint32_t class = SET_FIRST_HEALTHY - SET_FIRST_FAILED;
    assert_int_equal(parked->at, scene->zone_a - lots->cells);

    assert_told(scene, &parked->head, fleet_find(&scene->s->fleet, TEXT("web-03")),
                "a queue of candidates has the wrong head");
    assert_told(scene, &parked->at, QUEUE_OUT, "a queue of candidates is not where it belongs");
    assert_told(scene, &parked->at, QUEUE_READY, "a queue of candidates is missing in its order");
    assert_told(scene, &scene->zone_a->parked[class], ORDERED_NONE,
                "a queue of candidates is missing in its order");
    assert_told(scene, &closed->at, QUEUE_READY, "a queue of candidates is not where it belongs");
}

static void test_a_breach_that_does_not_show_is_told(void **state)
{
    const struct scene *scene = *state;
    scene->zone_a->is_breached = true;

    faults_told(scene, "a failure domain has a breach that it does not show");

    scene->zone_a->is_breached = false;
    assert_sound(scene);
}

static void test_candidates_that_are_parked_where_there_is_room_are_told(void **state)
{
    const struct scene *scene = *state;
    struct domain_config *domain = (struct domain_config *)(uintptr_t)scene->r->config.domains;
    domain->max_in_progress.value = 2;

    faults_told(scene, "a failure domain has room for candidates that are parked there");

    domain->max_in_progress.value = 1;
    assert_sound(scene);
}

/* ---- a part at a time ----------------------------------------------------------------------- */

static void test_the_check_in_the_background_goes_round_and_skips_free_slots(void **state)
{
    const struct scene *scene = *state;
    struct story *s = scene->s;
    story_delete(s, "crowd-2"); /* its slot is free */
    s->keeps_rounds_open = true;
    story_delete(s, "crowd-3"); /* this one's will be, when that is durable */
    struct placement *placed = &story_instance(s, "web-05")->placed;
    placed->is_settling = true;
    struct err what = { .code = ERR_NONE };
    uint32_t cursor = 0;

    size_t first = place_check_some(&s->fleet, &cursor, 5, &what);
    size_t second = place_check_some(&s->fleet, &cursor, 5, &what);

    assert_int_equal(first, 0);
    assert_int_equal(second, 1);
    assert_int_equal(cursor, s->fleet.slot_count);
    place_check_some(&s->fleet, &cursor, 3, &what);
    assert_int_equal(cursor, 3);
    placed->is_settling = false;
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(test_wrong_counters_are_told),
        SCENE(test_counters_that_do_not_add_up_are_told_besides),
        SCENE(test_wrong_numbers_of_those_who_fell_silent_are_told),
        SCENE(test_without_memory_the_rest_is_compared),
        SCENE(test_each_part_of_a_place_that_is_wrong_is_told),
        SCENE(test_a_place_in_a_rollout_that_has_ended_is_told),
        SCENE(test_one_that_is_missing_in_its_set_is_told),
        SCENE(test_one_that_is_not_found_by_its_key_is_told),
        SCENE(test_a_timer_that_is_too_late_is_told),
        SCENE(test_wrong_queues_of_candidates_are_told),
        SCENE(test_a_breach_that_does_not_show_is_told),
        SCENE(test_candidates_that_are_parked_where_there_is_room_are_told),
        SCENE(test_the_check_in_the_background_goes_round_and_skips_free_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
