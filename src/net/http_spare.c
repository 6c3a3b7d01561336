/* SPDX-License-Identifier: Apache-2.0
 * http_spare.c - responses of libmicrohttpd that are used again. To make one takes six allocations,
 * and most answers of a server are small, have no fields of their own, and the size of one that was
 * sent before. A spare one is in the hands of one exchange at a time, whose body it holds. */
#include "net/http_server_parts.h"

#define SPARES_MAX 4096
#define TYPE_SIZE  40

struct http_spare {
    struct http_spare *next;
    struct MHD_Response *response;
    char type[TYPE_SIZE];
    size_t size;
    char body[];
};

static void destroy(struct http_spare *spare)
{
    MHD_destroy_response(spare->response);
    free(spare);
}

/* NULL: there is none, which is no failure yet. */
static struct http_spare *find(struct http_server *server, const struct http_answer *answer)
{
    struct http_spare **link = &server->spares[answer->body.size];
    while (*link && strcmp((*link)->type, answer->content_type) != 0)
        link = &(*link)->next;
    struct http_spare *spare = *link;
    if (spare) {
        *link = spare->next;
        server->spare_count--;
    }
    return spare;
}

static struct http_spare *make(const struct http_answer *answer)
{
    struct http_spare *spare = malloc(sizeof *spare + answer->body.size);
    if (!spare)
        return NULL;
    spare->size = answer->body.size;
    snprintf(spare->type, sizeof spare->type, "%s", answer->content_type);
    spare->response =
        MHD_create_response_from_buffer(spare->size, spare->body, MHD_RESPMEM_PERSISTENT);
    if (!spare->response) {
        free(spare);
        return NULL;
    }
    if (MHD_add_response_header(spare->response, MHD_HTTP_HEADER_CONTENT_TYPE, spare->type) ==
        MHD_YES)
        return spare;
    destroy(spare);
    return NULL;
}

struct MHD_Response *http_spare_take(struct http_exchange *x, const struct http_answer *answer)
{
    if (answer->header_count > 0 || !answer->content_type || answer->body.size == 0 ||
        answer->body.size >= HTTP_SPARE_SIZES || strlen(answer->content_type) >= TYPE_SIZE)
        return NULL;
    struct http_spare *spare = find(x->server, answer);
    if (!spare)
        spare = make(answer);
    if (!spare)
        return NULL;
    memcpy(spare->body, answer->body.data, spare->size);
    x->spare = spare;
    return spare->response;
}

void http_spare_give(struct http_exchange *x)
{
    struct http_server *server = x->server;
    struct http_spare *spare = x->spare;
    x->spare = NULL;
    if (!spare)
        return;
    if (server->spare_count >= SPARES_MAX) {
        destroy(spare);
        return;
    }
    spare->next = server->spares[spare->size];
    server->spares[spare->size] = spare;
    server->spare_count++;
}

void http_spares_free(struct http_server *server)
{
    for (size_t size = 0; size < HTTP_SPARE_SIZES; size++) {
        while (server->spares[size]) {
            struct http_spare *spare = server->spares[size];
            server->spares[size] = spare->next;
            destroy(spare);
        }
    }
}
