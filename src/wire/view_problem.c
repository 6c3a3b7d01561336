/* SPDX-License-Identifier: Apache-2.0
 * view_problem.c - errors as problem documents (RFC 9457). The type is a relative reference made of
 * the code, so that both can be matched on. */
#include "wire/view.h"

static void put_type(struct json_writer *w, enum err_code code)
{
    struct sentence s;
    sentence_init(&s);
    buffer_add(&s.buffer, TEXT("/problems/"));
    buffer_add(&s.buffer, text_from(err_word(code)));
    json_put_text(w, "type", buffer_text(&s.buffer));
}

/* The sentence with its place, for those who read nothing else. */
static void put_detail(struct json_writer *w, const struct err *err)
{
    struct sentence s;
    sentence_init(&s);
    if (err->pointer[0] != '\0')
        buffer_printf(&s.buffer, "%s: ", err->pointer);
    buffer_add(&s.buffer, text_from(err->text));
    json_put_text(w, "detail", buffer_text(&s.buffer));
}

static void put_errors(struct json_writer *w, const struct err *err)
{
    json_key(w, "errors");
    json_begin_list(w);
    if (err->pointer[0] != '\0') {
        json_begin_object(w);
        json_put_text(w, "pointer", text_from(err->pointer));
        json_put_text(w, "message", text_from(err->text));
        json_end_object(w);
    }
    json_end_list(w);
}

static void put_conflict(struct json_writer *w, const struct wire_conflict *extra)
{
    if (extra->current_state)
        json_put_text(w, "current_state", text_from(extra->current_state));
    if (extra->has_allowed_verbs) {
        json_key(w, "allowed_verbs");
        wire_write_verbs(w, extra->allowed_verbs);
    }
    if (extra->deployment != 0) {
        json_key(w, "deployment_id");
        wire_write_rollout_id(w, extra->deployment);
    }
    if (extra->oldest != 0)
        json_put_u64(w, "oldest", extra->oldest);
}

void wire_write_problem(struct buffer *out, const struct err *err,
                        const struct wire_conflict *extra, struct text instance_path)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    put_type(&w, err->code);
    json_put_text(&w, "title", text_from(err_title(err->code)));
    json_put_i64(&w, "status", err_http_status(err->code));
    put_detail(&w, err);
    json_put_text_or_null(&w, "instance", instance_path);
    json_put_text(&w, "code", text_from(err_word(err->code)));
    json_put_bool(&w, "retryable", err_is_retryable(err->code));
    put_errors(&w, err);
    if (extra)
        put_conflict(&w, extra);
    json_end_object(&w);
}
