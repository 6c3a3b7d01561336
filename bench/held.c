/* SPDX-License-Identifier: Apache-2.0
 * held.c - many agents at once, for http_held.py: each has a connection of its own, registers over
 * it, and then most wait in long polls while heartbeats flow over the others at a steady rate.
 * Processes share the work, because each may open only so many descriptors, and have addresses of
 * their own (127.0.1.1 and so on), because each has only so many ports. Only for bench/.
 *
 * usage: held PORT CONNECTIONS HELD_PERCENT RATE SECONDS PREFIX
 * Prints "ready MILLISECONDS" when all are there and have settled, waits for a line on stdin,
 * measures, and prints "beats COUNT failures COUNT lost COUNT p50 US p99 US p999 US max US". A
 * latency counts from when the heartbeat was due, so a server (or client) that lags cannot hide it.
 */
#include "stopwatch.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES_MAX   64
#define PER_PROCESS_MAX 14000
#define CONNECTING_MAX  64 /* at a time, of one process */
#define EVENTS_MAX      256
#define ANSWER_MAX      8192
#define NS_PER_S        1000000000ll
#define GIVE_UP_S       600 /* nothing here may last longer */

struct plan {
    unsigned port, connections, held_percent, rate, seconds, processes;
    const char *prefix;
};

enum stage { STAGE_CONNECT, STAGE_MEASURE, STAGE_END };

/* Between the processes. */
struct board {
    _Atomic enum stage stage;
    _Atomic unsigned ready, beats, failures, lost;
    unsigned latencies_max;
    uint32_t latencies_us[];
};

enum place {
    PLACE_NONE,
    PLACE_CONNECTING,
    PLACE_REGISTERING,
    PLACE_IDLE,
    PLACE_BEATING,
    PLACE_HELD
};

struct agent {
    int fd;
    enum place place;
    int64_t due_ns;
    struct agent *next_idle;
};

struct client {
    const struct plan *plan;
    struct board *board;
    unsigned number, first, count; /* of the process; of its agents */
    unsigned opened, connecting, ready;
    struct agent *idle, **idle_end; /* who may beat; the one that rests for longest first */
    int64_t beat_due_ns, ends_ns;
    int epoll;
    struct agent *agents;
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- requests ------------------------------------------------------------------------------- */

static void say(struct client *c, struct agent *agent, const char *method, const char *path,
                const char *query, const char *body)
{
    char request[1024];
    int size =
        snprintf(request, sizeof request,
                 "%s %s%s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: dides\r\nAccept: */*\r\n"
                 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                 method, path, query, strlen(body), body);
    if (send(agent->fd, request, (size_t)size, MSG_NOSIGNAL) != size)
        c->board->failures++;
}

static void make_name(const struct client *c, const struct agent *agent, char name[static 64])
{
    snprintf(name, 64, "%s-%06u", c->plan->prefix, c->first + (unsigned)(agent - c->agents));
}

static void enter(struct client *c, struct agent *agent)
{
    char name[64], body[256];
    make_name(c, agent, name);
    snprintf(body, sizeof body,
             "{\"instance\":{\"name\":\"%s\",\"ip\":\"10.0.0.1\"},\"token\":\"any\"}", name);
    say(c, agent, "POST", "/inventory/register", "", body);
    agent->place = PLACE_REGISTERING;
}

static void beat(struct client *c, struct agent *agent, const char *query)
{
    char name[64], path[128];
    make_name(c, agent, name);
    snprintf(path, sizeof path, "/inventory/instances/%s", name);
    say(c, agent, "PATCH", path, query,
        "{\"code_version\":\"1.0.0\",\"configuration_version\":\"c1\",\"status\":\"HEALTHY\","
        "\"message\":\"\",\"observed_generation\":0}");
}

/* ---- one agent ------------------------------------------------------------------------------ */

static bool is_held(const struct client *c, const struct agent *agent)
{
    unsigned number = c->first + (unsigned)(agent - c->agents);
    return number % 100 < c->plan->held_percent;
}

static void open_agent(struct client *c, struct agent *agent)
{
    struct sockaddr_in from = { .sin_family = AF_INET,
                                .sin_addr = { htonl(0x7f000101 + c->number) } };
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)c->plan->port),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) != 0)
        fail("held: cannot open a connection");
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS)
        fail("held: cannot connect");
    struct epoll_event event = { .events = EPOLLOUT, .data = { .ptr = agent } };
    if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        fail("held: epoll");
    *agent = (struct agent){ .fd = fd, .place = PLACE_CONNECTING };
    c->connecting++;
}

static void on_connected(struct client *c, struct agent *agent)
{
    struct epoll_event event = { .events = EPOLLIN, .data = { .ptr = agent } };
    epoll_ctl(c->epoll, EPOLL_CTL_MOD, agent->fd, &event);
    enter(c, agent);
}

static void lose(struct client *c, struct agent *agent)
{
    c->board->lost++;
    c->connecting -= agent->place == PLACE_CONNECTING || agent->place == PLACE_REGISTERING;
    close(agent->fd);
    agent->place = PLACE_NONE;
}

static void note(struct client *c, const struct agent *agent)
{
    int64_t us = (stopwatch_ns() - agent->due_ns) / 1000;
    if (c->board->stage != STAGE_MEASURE)
        return;
    unsigned number = c->board->beats++;
    if (number < c->board->latencies_max)
        c->board->latencies_us[number] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static void hold(struct client *c, struct agent *agent)
{
    agent->place = PLACE_HELD;
    beat(c, agent, "?wait=60s");
}

static void rest(struct client *c, struct agent *agent)
{
    agent->place = PLACE_IDLE;
    agent->next_idle = NULL;
    *c->idle_end = agent;
    c->idle_end = &agent->next_idle;
}

static void on_answer(struct client *c, struct agent *agent, bool is_good)
{
    if (!is_good)
        c->board->failures++;
    if (agent->place == PLACE_REGISTERING) {
        c->connecting--;
        c->ready++;
        c->board->ready++;
    } else if (agent->place == PLACE_BEATING) {
        note(c, agent);
    }
    if (is_held(c, agent))
        hold(c, agent);
    else
        rest(c, agent);
}

/* Bytes of the whole answer that begins there; 0: it is not whole. */
static size_t answer_size(const char *bytes, size_t size)
{
    const char *end = memmem(bytes, size, "\r\n\r\n", 4);
    const char *length = end ? memmem(bytes, size, "Content-Length: ", 16) : NULL;
    if (!length)
        return 0;
    size_t whole = (size_t)(end - bytes) + 4 + strtoul(length + 16, NULL, 10);
    return whole <= size ? whole : 0;
}

static void on_readable(struct client *c, struct agent *agent)
{
    char bytes[ANSWER_MAX + 1];
    ssize_t got = recv(agent->fd, bytes, ANSWER_MAX, MSG_PEEK);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            lose(c, agent);
        return;
    }
    bytes[got] = '\0';
    size_t whole = answer_size(bytes, (size_t)got);
    if (whole == 0)
        return;
    (void)!recv(agent->fd, bytes, whole, 0);
    on_answer(c, agent, memcmp(bytes, "HTTP/1.1 2", 10) == 0);
}

/* ---- one process ---------------------------------------------------------------------------- */

static void connect_some(struct client *c)
{
    for (; c->opened < c->count && c->connecting < CONNECTING_MAX; c->opened++)
        open_agent(c, &c->agents[c->opened]);
}

/* NULL: none is idle. */
static struct agent *next_idle(struct client *c)
{
    struct agent *agent = c->idle;
    while (agent && agent->place != PLACE_IDLE) /* lost meanwhile */
        agent = agent->next_idle;
    c->idle = agent ? agent->next_idle : NULL;
    if (!c->idle)
        c->idle_end = &c->idle;
    return agent;
}

/* Heartbeats that are due. When none of ours is idle the server is behind: they stay due. */
static void beat_some(struct client *c)
{
    struct agent *agent;
    int64_t now_ns = stopwatch_ns();
    while (c->beat_due_ns <= now_ns && (agent = next_idle(c))) {
        agent->due_ns = c->beat_due_ns;
        agent->place = PLACE_BEATING;
        beat(c, agent, "");
        c->beat_due_ns += NS_PER_S * c->plan->processes / c->plan->rate;
    }
}

static void wait_and_read(struct client *c)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t left_ns = c->beat_due_ns - stopwatch_ns();
    struct timespec pause = { .tv_nsec = left_ns < 0          ? 100000
                                         : left_ns < 10000000 ? left_ns
                                                              : 10000000 };
    int count = epoll_pwait2(c->epoll, events, EVENTS_MAX, &pause, NULL);
    for (int i = 0; i < count; i++) {
        struct agent *agent = events[i].data.ptr;
        if (agent->place == PLACE_CONNECTING && !(events[i].events & (EPOLLERR | EPOLLHUP)))
            on_connected(c, agent);
        else if (agent->place == PLACE_CONNECTING)
            lose(c, agent);
        else
            on_readable(c, agent);
    }
}

static void live_as_client(struct client *c)
{
    c->idle_end = &c->idle;
    c->epoll = epoll_create1(0);
    c->agents = calloc(c->count, sizeof c->agents[0]);
    c->beat_due_ns = stopwatch_ns() + NS_PER_S / 10;
    c->ends_ns = stopwatch_ns() + GIVE_UP_S * NS_PER_S;
    if (c->epoll < 0 || !c->agents)
        fail("held: no memory");
    while (c->board->stage != STAGE_END && stopwatch_ns() < c->ends_ns) {
        connect_some(c);
        if (c->ready > 0)
            beat_some(c);
        else
            c->beat_due_ns = stopwatch_ns();
        wait_and_read(c);
    }
    _exit(0);
}

/* ---- all of them ---------------------------------------------------------------------------- */

static void start_clients(const struct plan *plan, struct board *board, pid_t pids[])
{
    pid_t parent = getpid();
    for (unsigned i = 0; i < plan->processes; i++) {
        unsigned first = (unsigned)((uint64_t)plan->connections * i / plan->processes);
        unsigned end = (unsigned)((uint64_t)plan->connections * (i + 1) / plan->processes);
        struct client client = {
            .plan = plan, .board = board, .number = i, .first = first, .count = end - first
        };
        pids[i] = fork();
        if (pids[i] < 0)
            fail("held: cannot fork");
        if (pids[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() == parent)
                live_as_client(&client);
            _exit(1);
        }
    }
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void print_result(struct board *board)
{
    unsigned count = board->beats < board->latencies_max ? board->beats : board->latencies_max;
    uint32_t *us = board->latencies_us;
    qsort(us, count, sizeof us[0], by_size);
    printf("beats %u failures %u lost %u p50 %u p99 %u p999 %u max %u\n", board->beats,
           board->failures, board->lost, count ? us[count / 2] : 0,
           count ? us[(uint64_t)count * 99 / 100] : 0, count ? us[(uint64_t)count * 999 / 1000] : 0,
           count ? us[count - 1] : 0);
}

static bool wait_until_ready(const struct plan *plan, struct board *board)
{
    int64_t began_ns = stopwatch_ns();
    while (board->ready + board->lost < plan->connections) {
        if (stopwatch_ns() - began_ns > GIVE_UP_S * NS_PER_S / 2)
            return false;
        usleep(1000);
    }
    int64_t took_ms = (stopwatch_ns() - began_ns) / 1000000;
    sleep(2);
    printf("ready %lld\n", (long long)took_ms);
    fflush(stdout);
    return true;
}

static void run(const struct plan *plan, struct board *board)
{
    pid_t pids[PROCESSES_MAX];
    char line[16];
    start_clients(plan, board, pids);
    if (wait_until_ready(plan, board) && fgets(line, sizeof line, stdin)) {
        board->stage = STAGE_MEASURE;
        sleep(plan->seconds);
    }
    board->stage = STAGE_END;
    for (unsigned i = 0; i < plan->processes; i++)
        waitpid(pids[i], NULL, 0);
    print_result(board);
}

static void raise_descriptors(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: held PORT CONNECTIONS HELD_PERCENT RATE SECONDS PREFIX\n");
        return 64;
    }
    unsigned numbers[5];
    for (int i = 0; i < 5; i++)
        numbers[i] = (unsigned)strtoul(argv[i + 1], NULL, 10);
    struct plan plan = { numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], 0, argv[6] };
    plan.processes = (plan.connections + PER_PROCESS_MAX - 1) / PER_PROCESS_MAX;
    if (plan.processes < 1 || plan.processes > PROCESSES_MAX || plan.held_percent > 99 ||
        plan.rate < 1 || plan.seconds > GIVE_UP_S / 2)
        return 64;
    unsigned latencies = plan.rate * plan.seconds * 2;
    struct board *board = mmap(NULL, sizeof *board + latencies * sizeof(uint32_t),
                               PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED)
        fail("held: no memory");
    board->latencies_max = latencies;
    raise_descriptors();
    run(&plan, board);
    return 0;
}
