/* SPDX-License-Identifier: Apache-2.0
 * kit.c - see kit.h. The server has a thread of its own: the commands block. */
#include "kit.h"

#include "cmd/commands.h"
#include "net/http_server.h"

#include <errno.h>
#include <pthread.h>
#include <pty.h>
#include <sys/mman.h>
#include <unistd.h>

#define ANSWERS_MAX 64
#define HEARD_MAX   ((size_t)1 << 20)
#define WORDS_MAX   32

struct answer {
    const char *request, *body;
    int status;
    bool is_stream, stays_open, is_used;
};

struct kit {
    pthread_mutex_t mutex; /* of what follows */
    struct answer answers[ANSWERS_MAX];
    size_t answer_count;
    struct buffer heard, heard_copy;
    /* of the server's thread */
    pthread_t thread;
    struct loop *loop;
    struct loop_waker *stop;
    struct http_server *server;
    uint16_t port;
};

/* ---- the server's side ---------------------------------------------------------------------- */

static bool fits(const struct answer *answer, const char *request)
{
    size_t size = strlen(answer->request);
    bool has_query = strchr(answer->request, '?') != NULL;
    return strncmp(answer->request, request, size) == 0 &&
           (request[size] == '\0' || (!has_query && request[size] == '?'));
}

/* The first that was not used yet, or the last. */
static struct answer find(struct kit *kit, const char *request)
{
    struct answer *last = NULL;
    pthread_mutex_lock(&kit->mutex);
    for (size_t i = 0; i < kit->answer_count; i++) {
        if (!fits(&kit->answers[i], request))
            continue;
        last = &kit->answers[i];
        if (!last->is_used)
            break;
    }
    struct answer found = { .status = 404, .body = "{\"detail\":\"no such canned answer\"}" };
    if (last) {
        last->is_used = true;
        found = *last;
    }
    pthread_mutex_unlock(&kit->mutex);
    return found;
}

static void note_field(struct buffer *heard, struct http_exchange *x, const char *name,
                       const char *word)
{
    struct text value = http_field(x, name);
    if (value.size > 0)
        buffer_printf(heard, " %s=%.*s", word, TEXT_ARG(value));
}

static void note_request(struct kit *kit, struct http_exchange *x, const char *line,
                         struct text body)
{
    pthread_mutex_lock(&kit->mutex);
    buffer_add(&kit->heard, text_from(line));
    struct text key = http_field(x, "Idempotency-Key");
    if (key.size > 0)
        buffer_printf(&kit->heard, " key=%zu", key.size);
    note_field(&kit->heard, x, "If-Match", "match");
    note_field(&kit->heard, x, "Last-Event-ID", "last");
    note_field(&kit->heard, x, "Authorization", "auth");
    if (body.size > 0)
        buffer_printf(&kit->heard, " %.*s", TEXT_ARG(body));
    buffer_add_byte(&kit->heard, '\n');
    pthread_mutex_unlock(&kit->mutex);
}

static void abandon(void *x)
{
    http_abandon(x);
}

static void handle(void *ctx, struct http_exchange *x, const struct http_request *request)
{
    struct kit *kit = ctx;
    char line[1024];
    snprintf(line, sizeof line, "%s %.*s%s%.*s", request->method, TEXT_ARG(request->path),
             request->query.size > 0 ? "?" : "", TEXT_ARG(request->query));
    note_request(kit, x, line, request->body);
    struct answer found = find(kit, line);
    struct http_answer answer = { .status = found.status,
                                  .content_type =
                                      found.is_stream ? "text/event-stream" : "application/json",
                                  .body = text_from(found.body) };
    if (!found.is_stream) {
        http_answer(x, &answer);
        return;
    }
    http_stream_open(x, &answer);
    if (found.stays_open)
        http_on_gone(x, abandon, x);
    else
        http_stream_end(x);
}

static size_t body_limit(void *ctx, const char *method, struct text path)
{
    (void)ctx;
    (void)method;
    (void)path;
    return HEARD_MAX;
}

static void render_error(void *ctx, enum err_code code, const char *detail, struct buffer *out)
{
    (void)ctx;
    buffer_printf(out, "{\"code\":\"%s\",\"detail\":\"%s\"}", err_word(code), detail);
}

static void on_closed(void *ctx)
{
    struct kit *kit = ctx;
    kit->server = NULL;
    loop_stop(kit->loop);
}

static void on_stop(void *ctx)
{
    struct kit *kit = ctx;
    http_server_close(kit->server, 0, on_closed, kit);
}

static void *run_loop(void *ctx)
{
    struct kit *kit = ctx;
    loop_run(kit->loop);
    return NULL;
}

/* ---- the test's side ------------------------------------------------------------------------ */

void kit_start(struct kit *kit)
{
    struct err err = { 0 };
    char address[64];
    const struct http_handler handler = { handle, body_limit, render_error, kit };
    snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)kit->port);
    kit->loop = loop_new(&err);
    assert_non_null(kit->loop);
    if (!http_server_open(kit->loop, text_from(address), NULL, &handler, &kit->server, &err))
        fail_msg("%s", err.text);
    kit->port = http_server_port(kit->server);
    kit->stop = loop_waker_new(kit->loop, on_stop, kit, &err);
    assert_non_null(kit->stop);
    assert_int_equal(pthread_create(&kit->thread, NULL, run_loop, kit), 0);
}

void kit_stop(struct kit *kit)
{
    if (!kit->loop)
        return;
    loop_waker_wake(kit->stop);
    assert_int_equal(pthread_join(kit->thread, NULL), 0);
    loop_waker_free(kit->stop);
    loop_free(kit->loop);
    kit->loop = NULL;
}

int kit_open(void **state)
{
    struct kit *kit = calloc(1, sizeof *kit);
    char url[64];
    assert_non_null(kit);
    assert_int_equal(pthread_mutex_init(&kit->mutex, NULL), 0);
    buffer_init(&kit->heard, &memory_heap, HEARD_MAX);
    buffer_init(&kit->heard_copy, &memory_heap, HEARD_MAX);
    kit_start(kit);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)kit->port);
    setenv("DIDES_SERVER", url, 1);
    unsetenv("DIDES_TOKEN");
    unsetenv("DIDES_TOKEN_FILE");
    *state = kit;
    return 0;
}

int kit_close(void **state)
{
    struct kit *kit = *state;
    kit_stop(kit);
    buffer_release(&kit->heard);
    buffer_release(&kit->heard_copy);
    pthread_mutex_destroy(&kit->mutex);
    free(kit);
    return 0;
}

static void add_answer(struct kit *kit, struct answer answer)
{
    pthread_mutex_lock(&kit->mutex);
    assert_true(kit->answer_count < ANSWERS_MAX);
    kit->answers[kit->answer_count++] = answer;
    pthread_mutex_unlock(&kit->mutex);
}

void kit_answer(struct kit *kit, const char *request, int status, const char *body)
{
    add_answer(kit, (struct answer){ .request = request, .status = status, .body = body });
}

void kit_stream(struct kit *kit, const char *request, const char *body, bool stays_open)
{
    add_answer(kit, (struct answer){ .request = request,
                                     .status = 200,
                                     .body = body,
                                     .is_stream = true,
                                     .stays_open = stays_open });
}

const char *kit_heard(struct kit *kit)
{
    pthread_mutex_lock(&kit->mutex);
    buffer_clear(&kit->heard_copy);
    buffer_add(&kit->heard_copy, buffer_text(&kit->heard));
    pthread_mutex_unlock(&kit->mutex);
    return buffer_c_string(&kit->heard_copy);
}

/* ---- running dides -------------------------------------------------------------------------- */

static void read_all(int fd, struct buffer *ret)
{
    char bytes[4096];
    ssize_t size;
    buffer_init(ret, &memory_heap, HEARD_MAX);
    while ((size = read(fd, bytes, sizeof bytes)) > 0)
        buffer_add(ret, (struct text){ bytes, (size_t)size });
    assert_false(ret->failed);
}

/* Puts `fd` in the place of `place` and returns what was there. */
static int swap(FILE *stream, int fd)
{
    int place = fileno(stream);
    fflush(stream);
    int kept = dup(place);
    assert_true(kept >= 0);
    assert_true(dup2(fd, place) >= 0);
    close(fd);
    return kept;
}

static void swap_back(FILE *stream, int kept)
{
    fflush(stream);
    clearerr(stream);
    assert_true(dup2(kept, fileno(stream)) >= 0);
    close(kept);
}

static int call(char **words, int out_fd, int err_fd)
{
    int count = 0;
    while (words[count])
        count++;
    int kept_out = swap(stdout, out_fd), kept_err = swap(stderr, err_fd);
    int code = commands_run(count, words);
    swap_back(stdout, kept_out);
    swap_back(stderr, kept_err);
    return code;
}

static int caught(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void gather(char **words, const char *word, va_list list)
{
    int count = 0;
    words[count++] = strdup("dides");
    for (; word && count < WORDS_MAX - 1; word = va_arg(list, const char *))
        words[count++] = strdup(word);
    words[count] = NULL;
}

static void release(char **originals)
{
    for (int i = 0; originals[i]; i++)
        free(originals[i]);
}

struct said dides(const char *word, ...)
{
    char *words[WORDS_MAX], *sorted[WORDS_MAX];
    struct said said;
    va_list list;
    va_start(list, word);
    gather(words, word, list);
    va_end(list);
    memcpy(sorted, words, sizeof sorted); /* options_parse() sorts what it gets */
    int out_fd = caught("out"), err_fd = caught("err");
    said.code = call(sorted, dup(out_fd), dup(err_fd));
    lseek(out_fd, 0, SEEK_SET);
    lseek(err_fd, 0, SEEK_SET);
    read_all(out_fd, &said.out);
    read_all(err_fd, &said.err);
    close(out_fd);
    close(err_fd);
    release(words);
    return said;
}

struct said dides_on_terminal(const char *word, ...)
{
    char *words[WORDS_MAX], *sorted[WORDS_MAX];
    struct said said;
    struct winsize size = { .ws_col = 80, .ws_row = 24 };
    int master, slave;
    va_list list;
    va_start(list, word);
    gather(words, word, list);
    va_end(list);
    memcpy(sorted, words, sizeof sorted);
    assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
    int err_fd = caught("err");
    said.code = call(sorted, slave, dup(err_fd));
    read_all(master, &said.out); /* ends with EIO: the slave is closed */
    lseek(err_fd, 0, SEEK_SET);
    read_all(err_fd, &said.err);
    close(master);
    close(err_fd);
    release(words);
    return said;
}

void said_release(struct said *said)
{
    buffer_release(&said->out);
    buffer_release(&said->err);
}

void assert_has(struct buffer *buffer, const char *part)
{
    if (!strstr(buffer_c_string(buffer), part))
        fail_msg("\"%s\" is not in \"%s\"", part, buffer_c_string(buffer));
}

void assert_lacks(struct buffer *buffer, const char *part)
{
    if (strstr(buffer_c_string(buffer), part))
        fail_msg("\"%s\" is in \"%s\"", part, buffer_c_string(buffer));
}

void assert_is(struct buffer *buffer, const char *whole)
{
    assert_string_equal(buffer_c_string(buffer), whole);
}
