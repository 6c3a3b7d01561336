/* SPDX-License-Identifier: Apache-2.0
 * demo_server.h - the server of the demo: this same program once more, as a child that never
 * outlives its parent. */
#ifndef DIDES_CMD_DEMO_SERVER_H
#define DIDES_CMD_DEMO_SERVER_H

#include "base/err.h"

#include <sys/types.h>

#define DEMO_PATH_SIZE  4096
#define DEMO_STOP_MS    5000 /* for a clean end, then SIGKILL */
#define DEMO_WORDS_SIZE 2048

struct demo_server {
    pid_t pid;        /* 0: does not run */
    char address[64]; /* with the port in use */
    char data[DEMO_PATH_SIZE];
    char log[DEMO_PATH_SIZE]; /* its output */
    off_t log_start;          /* where the output of this start begins */
    int status;               /* of waitpid(), once it has ended */
};

/* Looks whether the address is free, makes the folder, and starts the child with the settings of
 * the demo. Port 0 is replaced by a free one. False: *err says what is in the way. */
bool demo_server_start(struct demo_server *server, const char *listen, const char *data,
                       struct err *err);
/* The same address and folder, after an end. */
bool demo_server_restart(struct demo_server *server, struct err *err);
/* False once it has ended; then `status` says how. */
bool demo_server_is_running(struct demo_server *server);
/* SIGTERM, then, after DEMO_STOP_MS, SIGKILL; returns when it is gone. */
void demo_server_stop(struct demo_server *server);

/* "ended with exit code 1", "was killed by signal 9". */
void demo_server_explain(const struct demo_server *server, char space[static 64]);
/* What the last line of its output since the start says; "" when there is none. */
void demo_server_last_words(const struct demo_server *server, char space[static DEMO_WORDS_SIZE]);

#endif
