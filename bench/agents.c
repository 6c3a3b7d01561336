/* SPDX-License-Identifier: Apache-2.0
 * agents.c - thousands of agents that do at once what they are told: each has a connection with a
 * held heartbeat, and what its answer wishes is what the next one reports. Only for bench/.
 *
 * usage: agents PORT COUNT VERSION     for the instances web-000001 and so on, which are registered
 *                                      and run VERSION; prints a line when all are held */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MAX  4096
#define VERSION_MAX 64
#define EVENTS_MAX  256

struct agent {
    unsigned number;
    int fd;
    unsigned long generation;
    char version[VERSION_MAX];
    size_t size; /* of what has come of an answer */
    char answer[ANSWER_MAX];
};

static void fail(const char *what)
{
    fprintf(stderr, "agents: %s: %s\n", what, errno ? strerror(errno) : "not as expected");
    exit(1);
}

static void report(struct agent *a)
{
    char body[256], request[1024];
    int size = snprintf(body, sizeof body,
                        "{\"code_version\":\"%s\",\"configuration_version\":\"c1\",\"status\":1,"
                        "\"message\":\"\",\"observed_generation\":%lu}",
                        a->version, a->generation);
    size = snprintf(request, sizeof request,
                    "PATCH /inventory/instances/web-%06u?wait=60s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                    "User-Agent: dides\r\nAccept: */*\r\nContent-Type: application/json\r\n"
                    "Content-Length: %d\r\n\r\n%s",
                    a->number, size, body);
    if (write(a->fd, request, (size_t)size) != size)
        fail("cannot send a heartbeat");
}

static void start(struct agent *a, unsigned number, unsigned port, const char *version)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int one = 1;
    *a = (struct agent){ .number = number };
    snprintf(a->version, sizeof a->version, "%s", version);
    a->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (a->fd < 0 || connect(a->fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("cannot connect");
    setsockopt(a->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    report(a);
}

/* The value of a member, up to what ends it. NULL: it is not there. */
static const char *find(const char *json, const char *member, const char *end, size_t *ret)
{
    const char *at = strstr(json, member);
    if (!at)
        return NULL;
    at += strlen(member);
    *ret = strcspn(at, end);
    return at;
}

static void obey(struct agent *a, const char *body)
{
    size_t size;
    const char *generation = find(body, "\"generation\":", ",}", &size);
    const char *wish = strstr(body, "\"desired_state\":");
    const char *version = wish ? find(wish, "\"code_version\":\"", "\"", &size) : NULL;
    if (!generation || (version && size >= sizeof a->version))
        fail(body);
    a->generation = strtoul(generation, NULL, 10);
    if (version && strstr(body, "\"update_needed\":true"))
        snprintf(a->version, sizeof a->version, "%.*s", (int)size, version);
    report(a);
}

/* Reads what is there, and acts on a whole answer. */
static void hear(struct agent *a)
{
    ssize_t got = recv(a->fd, a->answer + a->size, sizeof a->answer - 1 - a->size, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    errno = 0;
    if (got <= 0)
        fail("the server closed a connection");
    a->size += (size_t)got;
    a->answer[a->size] = '\0';
    size_t digits;
    const char *body = strstr(a->answer, "\r\n\r\n");
    const char *length = body ? find(a->answer, "Content-Length: ", "\r", &digits) : NULL;
    if (!length || a->size < (size_t)(body + 4 - a->answer) + strtoul(length, NULL, 10))
        return;
    if (strncmp(a->answer, "HTTP/1.1 200", 12) != 0)
        fail(a->answer);
    a->size = 0;
    obey(a, body + 4);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 64;
    unsigned port = (unsigned)strtoul(argv[1], NULL, 10);
    unsigned count = (unsigned)strtoul(argv[2], NULL, 10);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    struct agent *agents = calloc(count, sizeof *agents);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!agents || epoll < 0)
        fail("cannot begin");
    for (unsigned i = 0; i < count; i++) {
        struct epoll_event event = { .events = EPOLLIN, .data = { .ptr = &agents[i] } };
        start(&agents[i], i + 1, port, argv[3]);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, agents[i].fd, &event) != 0)
            fail("cannot watch a connection");
    }
    puts("held");
    fflush(stdout);
    for (;;) {
        struct epoll_event ready[EVENTS_MAX];
        int events = epoll_wait(epoll, ready, EVENTS_MAX, -1);
        for (int i = 0; i < events; i++)
            hear(ready[i].data.ptr);
    }
}
