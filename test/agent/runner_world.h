/* SPDX-License-Identifier: Apache-2.0
 * runner_world.h - what an agent lives in, with a clock of its own: a server that answers as it is
 * told, and a host whose commands run as they are told. */
#ifndef DIDES_TEST_RUNNER_WORLD_H
#define DIDES_TEST_RUNNER_WORLD_H

#include "agent/runner.h"

#define WAKES_MAX  64
#define CALLS_MAX  8
#define LATENCY_MS 5

struct pending_call {
    call_done_fn *done;
    void *ctx;
    int64_t due;
    bool is_registration, is_held;
    char body[1024], bearer[64];
};

struct pending_wake {
    wake_fn *wake;
    void *ctx;
    int64_t due;
};

struct world {
    int64_t now;
    struct runner *runner;
    bool has_ended;
    struct identity saved;
    unsigned saves;

    /* the server */
    bool knows_instance, knows_wait, is_down, loses_answers;
    int refuses_with; /* status, 0: nothing */
    int64_t retry_after_ms;
    char credential[64];     /* given at registration; "": none */
    char wish[64], runs[64]; /* code versions */
    uint64_t generation;
    char status; /* digit of the newest report, or '-' */
    char message[512];
    unsigned registrations, heartbeats, held, labelled;
    bool is_plain;              /* knows no sessions */
    unsigned session, sessions; /* of the agent, 0: none; so many were given */
    uint64_t sequence;
    struct pending_call calls[CALLS_MAX];
    size_t call_count;

    /* the host */
    char installed[64];
    int update_code, health_code;
    int64_t update_ms;
    unsigned updates;
    char environment[1024]; /* of the newest update */
    command_done_fn *command_done;
    void *command_ctx;
    int64_t command_due;
    struct command_result result;
    char output[128];

    struct pending_wake wakes[WAKES_MAX];
    size_t wake_count;
};

int world_set_up(void **state); /* of cmocka: *state is a struct world */
int world_tear_down(void **state);

void start_agent(struct world *w);
void kill_agent(struct world *w); /* with whatever it was about */
void pass(struct world *w, int64_t ms);
/* The server wishes this code from now on, and lets held heartbeats go. */
void wish(struct world *w, const char *code);

#endif
