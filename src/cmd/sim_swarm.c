/* SPDX-License-Identifier: Apache-2.0
 * sim_swarm.c - many seeds, in one process or dealt in blocks to several. Blocks are judged in
 * order, so that the output is the same whatever the number of processes. */
#include "base/cleanup.h"
#include "cmd/exit_code.h"
#include "cmd/sim_report.h"
#include "cmd/sim_virtual.h"
#include "cmd/terminal.h"
#include "sim/disk/sqlite_vault.h"
#include "sim/swarm.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK    50u /* seeds that a process takes at a time */
#define JOBS_MAX 64u
#define FACTOR   31u /* of the hash over seeds */

/* What became of some seeds, one after the other. */
struct block {
    uint64_t done, hash, factor; /* factor: what the hash of those before is multiplied by */
    struct model_counts sum;
    bool is_whole, holds; /* else: interrupted; an invariant is broken, or there was no memory */
    uint64_t text_size;   /* of what is to be said then, which follows */
};

static const struct block nothing = { .factor = 1, .is_whole = true, .holds = true };

static void add_counts(struct model_counts *sum, const struct model_counts *counts)
{
    sum->events += counts->events;
    sum->checks += counts->checks;
    sum->heartbeats += counts->heartbeats;
    sum->updates += counts->updates;
    for (unsigned i = 0; i < FAULT_CLASS_COUNT; i++)
        sum->faults[i] += counts->faults[i];
}

static void add_block(struct block *sum, const struct block *next)
{
    sum->done += next->done;
    sum->hash = sum->hash * next->factor + next->hash;
    sum->is_whole &= next->is_whole;
    sum->holds &= next->holds;
    add_counts(&sum->sum, &next->sum);
}

/* ---- running -------------------------------------------------------------------------------- */

static void run_seed(uint64_t seed, bool is_traced, struct block *block, struct buffer *said)
{
    struct swarm *swarm = NULL;
    struct err err = { .code = ERR_NONE };
    const struct swarm_options options = { .is_traced = is_traced,
                                           .disk = &sqlite_vault_disk,
                                           .told = is_traced ? sim_virtual_tell : NULL };
    if (!swarm_new(seed, &options, &swarm, &err)) {
        buffer_printf(said, "seed=%llu %s\n", (unsigned long long)seed, err.text);
        block->holds = false;
        return;
    }
    const struct model *model = swarm_model(swarm);
    struct block one = { .done = 1, .factor = FACTOR, .is_whole = true };
    one.holds = swarm_run(swarm);
    one.sum = model_counts(model);
    one.hash = model_hash(model);
    if (!one.holds)
        sim_virtual_add_violation(said, model, seed);
    add_block(block, &one);
    block->factor *= FACTOR;
    swarm_free(swarm);
}

static struct block run_block(uint64_t first, uint64_t count, bool is_traced, struct buffer *said)
{
    struct block block = nothing;
    for (uint64_t i = 0; i < count && block.holds && !sim_virtual_is_interrupted(); i++)
        run_seed(first + i, is_traced, &block, said);
    block.is_whole = block.done == count || !block.holds;
    block.text_size = said->size;
    return block;
}

/* ---- several processes ---------------------------------------------------------------------- */

struct worker {
    pid_t pid;
    int pipe; /* to read blocks from */
};

struct deal {
    uint64_t first, count;
    uint32_t jobs;
    struct worker workers[JOBS_MAX];
};

static uint64_t blocks_of(const struct deal *d)
{
    return (d->count + BLOCK - 1) / BLOCK;
}

static uint64_t seeds_of(const struct deal *d, uint64_t block)
{
    uint64_t left = d->count - block * BLOCK;
    return left < BLOCK ? left : BLOCK;
}

static bool write_all(int file, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t wrote = write(file, (const char *)bytes + done, size - done);
        if (wrote < 0 && errno != EINTR)
            return false;
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return true;
}

static bool read_all(int file, void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = read(file, (char *)bytes + done, size - done);
        if (got == 0 || (got < 0 && errno != EINTR))
            return false;
        done += got > 0 ? (size_t)got : 0;
    }
    return true;
}

static void work(const struct deal *d, uint32_t worker, int pipe)
{
    bool goes_on = true;
    for (uint64_t i = worker; goes_on && i < blocks_of(d); i += d->jobs) {
        struct buffer said;
        buffer_init(&said, &memory_heap, SIM_REPORT_MAX);
        struct block block = run_block(d->first + i * BLOCK, seeds_of(d, i), false, &said);
        goes_on = write_all(pipe, &block, sizeof block) &&
                  write_all(pipe, said.data, block.text_size) && block.holds && block.is_whole;
        buffer_release(&said);
    }
}

/* False: no process for it. */
static bool start(struct deal *d, uint32_t worker)
{
    int ends[2];
    if (pipe(ends) != 0)
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        work(d, worker, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    d->workers[worker] = (struct worker){ .pid = pid, .pipe = ends[0] };
    return pid > 0;
}

/* Those that are ahead of the first failure are not needed any more. */
static void stop(struct deal *d)
{
    for (uint32_t i = 0; i < d->jobs && d->workers[i].pid > 0; i++) {
        close(d->workers[i].pipe);
        kill(d->workers[i].pid, SIGTERM);
        while (waitpid(d->workers[i].pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
}

static bool take_block(int pipe, struct block *ret, struct buffer *said)
{
    if (!read_all(pipe, ret, sizeof *ret))
        return false;
    char *text = ret->text_size > 0 ? buffer_reserve(said, ret->text_size) : NULL;
    return ret->text_size == 0 || (text && read_all(pipe, text, ret->text_size));
}

static struct block run_deal(struct deal *d, struct buffer *said)
{
    struct block sum = nothing;
    bool started = true;
    signal(SIGPIPE, SIG_IGN); /* a worker whose work is not wanted any more ends by itself */
    for (uint32_t i = 0; started && i < d->jobs; i++)
        started = start(d, i);
    for (uint64_t i = 0; started && sum.holds && sum.is_whole && i < blocks_of(d); i++) {
        struct block block = nothing;
        if (!take_block(d->workers[i % d->jobs].pipe, &block, said)) {
            buffer_printf(said, "a process died among the seeds from %llu on\n",
                          (unsigned long long)(d->first + i * BLOCK));
            block = nothing;
            block.holds = sim_virtual_is_interrupted();
            block.is_whole = false;
        }
        add_block(&sum, &block);
    }
    if (!started) {
        buffer_add(said, TEXT("no process could be started\n"));
        sum.holds = false;
    }
    stop(d);
    return sum;
}

/* ---- both ----------------------------------------------------------------------------------- */

static void remark_speed(const struct block *sum, uint64_t began_us)
{
    uint64_t took_ms = (sim_ticks_us() - began_us) / 1000 + 1;
    remark("sim: %llu seeds in %llu.%03llu s, %llu seeds and %llu events per second",
           (unsigned long long)sum->done, (unsigned long long)(took_ms / 1000),
           (unsigned long long)(took_ms % 1000), (unsigned long long)(sum->done * 1000 / took_ms),
           (unsigned long long)(sum->sum.events * 1000 / took_ms));
}

int sim_swarm(uint64_t first, uint64_t count, const struct sim_virtual_options *options)
{
    cleanup(buffer_release) struct buffer out = { 0 };
    struct deal deal = { .first = first, .count = count, .jobs = options->jobs };
    uint64_t began_us = sim_ticks_us();
    sim_virtual_catch_signals();
    buffer_init(&out, &memory_heap, SIM_REPORT_MAX);
    if (deal.jobs > JOBS_MAX)
        deal.jobs = JOBS_MAX;
    struct block sum = deal.jobs > 1 && !options->is_traced
                           ? run_deal(&deal, &out)
                           : run_block(first, count, options->is_traced, &out);
    sim_report_swarm(&out, sum.done, &sum.sum, sum.hash, sum.holds);
    if (!terminal_write(stdout, &out))
        return EXIT_OTHER;
    fflush(stdout);
    remark_speed(&sum, began_us);
    bool is_whole = sum.is_whole && (sum.done == count || !sum.holds);
    if (!is_whole) /* who asked for more must not take it for all */
        remark("sim: interrupted after %llu of %llu seeds", (unsigned long long)sum.done,
               (unsigned long long)count);
    return sum.holds && is_whole ? EXIT_DONE : EXIT_OTHER;
}
