/* SPDX-License-Identifier: Apache-2.0
 * epoll.c - the least that a server can do: it answers whatever comes with a fixed 200, one answer
 * to one read, without looking at it. What other servers need beyond it is theirs. Only for bench/.
 *
 * usage: epoll BODY_SIZE     prints the port it listens on, and serves until it is killed */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY_MAX   4096
#define EVENTS_MAX 128

static int fail(const char *what)
{
    perror(what);
    return 1;
}

static int listen_somewhere(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof address;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* accepted sockets inherit it */
    if (bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return -1;
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void serve(int fd, const char *answer, size_t size)
{
    char request[8192];
    ssize_t got = read(fd, request, sizeof request);
    if (got <= 0 || write(fd, answer, size) != (ssize_t)size)
        close(fd);
}

int main(int argc, char **argv)
{
    char body[BODY_MAX + 1] = "", answer[BODY_MAX + 256];
    unsigned long body_size = argc == 2 ? strtoul(argv[1], NULL, 10) : BODY_MAX + 1ul;
    if (body_size > BODY_MAX)
        return 64;
    memset(body, 'x', body_size);
    int size = snprintf(answer, sizeof answer,
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                        "Content-Length: %lu\r\n\r\n%s",
                        body_size, body);
    int epoll = epoll_create1(0), listener = listen_somewhere();
    struct epoll_event event = { .events = EPOLLIN, .data = { .fd = listener } };
    if (listener < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0)
        return fail("cannot listen");
    for (;;) {
        struct epoll_event ready[EVENTS_MAX];
        int count = epoll_wait(epoll, ready, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (ready[i].data.fd != listener) {
                serve(ready[i].data.fd, answer, (size_t)size);
                continue;
            }
            event.data.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
            if (event.data.fd >= 0)
                epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
        }
    }
}
