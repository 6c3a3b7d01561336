/* SPDX-License-Identifier: Apache-2.0
 * deploy_body.h - the body of POST /deploy, made of flags and a file. */
#ifndef DIDES_CMD_DEPLOY_BODY_H
#define DIDES_CMD_DEPLOY_BODY_H

#include "base/buffer.h"
#include "base/err.h"
#include "cmd/command.h"

/* As given on the command line; NULL: not given. */
struct deploy_request {
    const char *code, *config, *selector, *batch, *threshold, *strategy, *mode, *on_failure,
        *min_healthy, *min_available, *canary_size, *soak, *file, *plan, *reason;
    struct option_list gates;   /* names of manual gates of the canary */
    struct option_list domains; /* "LABEL=N": at most N in flight in each domain of the label */
    bool is_all;
};

/* Appends the body as JSON: what the file has, with flags in place of what it says to the same key;
 * labels of the file stay beside a selector given as a flag, since both must match. Flags about a
 * canary make it the strategy, unless that is given. Keys are not checked: the server knows them
 * better. Fails with ERR_USAGE when it says not which instances or which version, or says it twice,
 * when a canary has no size, or a domain no limit; with ERR_IO, ERR_INVALID or ERR_BAD_JSON when
 * the file cannot be used. */
bool deploy_body_make(const struct deploy_request *request, struct buffer *out, struct err *err);

#endif
