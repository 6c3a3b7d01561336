/* SPDX-License-Identifier: Apache-2.0
 * limits.h - every size that a user or a client controls, in one place. Bytes unless the name says
 * otherwise. Source: spec of rollouts, "Limits". */
#ifndef DIDES_BASE_LIMITS_H
#define DIDES_BASE_LIMITS_H

/* clang-format off */
#define LIMIT_NAME 253              /* instance name: UTF-8 without control characters */
#define LIMIT_LABELS 64             /* per instance */
#define LIMIT_LABEL_KEY 128
#define LIMIT_LABEL_VALUE 256       /* may be empty */
#define LIMIT_VERSION 256           /* each part of a version pair */
#define LIMIT_TOKEN 4096
#define LIMIT_REASON 1024
#define LIMIT_MESSAGE 512
#define LIMIT_ACTOR 128
#define LIMIT_SELECTOR 4096
#define LIMIT_SELECTOR_REQUIREMENTS 64
#define LIMIT_SELECTOR_VALUES 256   /* of all requirements together */
#define LIMIT_AMOUNT 1000000        /* batch sizes, thresholds, sizes */
#define LIMIT_ATTEMPT 65535         /* of one member in one rollout */
#define LIMIT_TRAIL 4               /* entries per instance */
#define LIMIT_WAVES 100             /* of one rollout */
#define LIMIT_GATES 16              /* of one wave */
#define LIMIT_WAVE_NAME 64          /* of a gate too */
#define LIMIT_DOMAINS 4             /* labels of one rollout */
#define LIMIT_DOMAIN_CELLS 65536    /* values of them together in one rollout; further ones count as
                                       without the label */
#define LIMIT_UNRESOLVED 1000       /* names listed in a rollback's record */
#define LIMIT_FAILURES 20           /* failed members that the record of an ended rollout tells of */
#define LIMIT_INSTANCES 2000000     /* default of the setting max_instances */
#define LIMIT_LIVE_ROLLOUTS 100     /* largest setting max_concurrent */

#define LIMIT_JSON_DEPTH 16
#define LIMIT_BODY_AGENT (64 * 1024) /* heartbeat and registration */
#define LIMIT_BODY (256 * 1024)      /* everything else */
#define LIMIT_URL 8192
#define LIMIT_HEAD (16 * 1024)
#define LIMIT_HEADER_FIELDS 64
#define LIMIT_LIST_DEFAULT 1000     /* items of one page */
#define LIMIT_LIST_MAX 10000
#define LIMIT_WAIT_MS 60000         /* longest long poll */

#define LIMIT_EVENTS_KEPT 1000000   /* default; besides 7 days */
#define LIMIT_ROLLOUTS_KEPT 1000    /* ended ones, default; besides 90 days */
#define LIMIT_STREAM_EVENTS 256     /* waiting for one slow reader of /events, then it is dropped */
#define LIMIT_STREAM_BYTES (512 * 1024) /* the largest journal entry fits: three label sets, escaped */
#define LIMIT_BACKUPS 2             /* copies made or sent at a time; each takes its size on the disk */
#define LIMIT_PLANS 8               /* being made or waiting for their turn; one is made at a time */
#define LIMIT_PLAN_MS 60000         /* longest time for making one */
#define LIMIT_PLAN_FAILURES 16      /* assumed in one */
#define LIMIT_PLAN_HASH 71          /* sha256: and 64 digits */
#define LIMIT_TIMERS_PER_ROUND 10000 /* instances whose timers fire in one round */
/* clang-format on */

#endif
