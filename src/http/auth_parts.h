/* SPDX-License-Identifier: Apache-2.0
 * auth_parts.h - what handlers ask of auth.c. Whatever returns false has set call->err. */
#ifndef DIDES_HTTP_AUTH_PARTS_H
#define DIDES_HTTP_AUTH_PARTS_H

#include "http/api_parts.h"

bool auth_open(struct api *api, const struct api_options *options, struct err *err);
void auth_close(struct api *api);
/* One stored record; `key` is the instance's, percent-encoded. */
#define AUTH_PREFIX ENGINE_OTHER_PREFIX "credential/"
bool auth_load(struct api *api, struct text key, struct text value, struct err *err);
bool auth_is_on(const struct api *api); /* false: the server is open */

/* Every request: ERR_RATE. */
bool auth_admits(struct api_call *call);

/* A heartbeat: the slot of the instance that it is for, and from. */
bool auth_heartbeat(struct api_call *call, uint32_t *ret_slot);

/* A registration, in this order: is the token good; may it be used for this key, and may the
 * instance be taken over. Then either auth_cancel(), or auth_grant() once the fleet knows it, which
 * writes the credential to be shown into `ret` ("": none). */
bool auth_token(struct api_call *call, struct text token, struct auth_grant *ret);
bool auth_registration(struct api_call *call, struct text key, struct auth_grant *grant);
void auth_grant(struct api_call *call, struct auth_grant *grant, uint32_t slot,
                char ret[static SECRET_TEXT_SIZE]);
void auth_cancel(struct auth_grant *grant);

/* A deletion: before it, and then either auth_cancel() or auth_forget(). */
bool auth_deletion(struct api_call *call, uint32_t slot, struct auth_grant *ret);
void auth_forget(struct auth_grant *grant, uint32_t slot);

#endif
