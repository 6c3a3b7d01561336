/* SPDX-License-Identifier: Apache-2.0
 * http_head.c - what HTTP demands of a request's head (RFC 9112), where libmicrohttpd 0.9.75 is
 * lenient: whoever stands before us must not see other requests in the same bytes than we do.
 *
 * libmicrohttpd takes a bare LF for a line end, glues a folded line to the name of its field, ends
 * a text at a NUL, skips blanks in the request line, and says nothing of all that. But it works
 * inside the bytes as they came, where it only writes a NUL over each separator. So the parts that
 * it hands out must lie one behind another with exactly the separators in between that HTTP
 * demands: a lenient reading leaves a gap, or a part that lies elsewhere. A version that kept
 * heads in another way would have every request refused here, which no test overlooks. */
#include "net/http_server_parts.h"

#include "base/limits.h"

/* While its parts are walked through. */
struct head {
    const char *next; /* where the next line must begin; NULL: a part was elsewhere */
    unsigned fields, hosts, lengths, encodings;
    bool expects, malformed;
    struct text host, length, encoding;
};

void http_refuse(struct http_exchange *x, int status, enum err_code code, const char *detail)
{
    x->refusal = code;
    x->refusal_status = status;
    x->refusal_detail = detail;
}

/* RFC 9110, section 5.6.2. */
static bool is_token(struct text t)
{
    static const bool is_one[256] = {
        ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['!'] = true,
        ['#'] = true,         ['$'] = true,         ['%'] = true,         ['&'] = true,
        ['\''] = true,        ['*'] = true,         ['+'] = true,         ['-'] = true,
        ['.'] = true,         ['^'] = true,         ['_'] = true,         ['`'] = true,
        ['|'] = true,         ['~'] = true
    };
    for (size_t i = 0; i < t.size; i++) {
        if (!is_one[(unsigned char)t.data[i]])
            return false;
    }
    return t.size > 0;
}

/* Tabs and bytes from 0x80 on may stand in a value; a CR, above all, may not. */
static bool is_field_value(struct text value)
{
    static const bool is_control[256] = {
        [0 ... '\t' - 1] = true, ['\t' + 1 ... ' ' - 1] = true, [0x7f] = true
    };
    for (size_t i = 0; i < value.size; i++) {
        if (is_control[(unsigned char)value.data[i]])
            return false;
    }
    return true;
}

/* A name, an IPv4 address, or one of IPv6 in brackets, and maybe a port. It is not looked up, but
 * what no host can be has no business with us. */
static bool is_host(struct text host)
{
    for (size_t i = 0; i < host.size; i++) {
        unsigned char byte = (unsigned char)host.data[i], letter = byte | 0x20;
        if (!(letter >= 'a' && letter <= 'z') && !(byte >= '0' && byte <= '9') &&
            memchr("-._~:[]%!$&'()*+,;=", byte, 19) == NULL)
            return false;
    }
    return true;
}

static void see_field(struct head *head, struct text name, struct text value)
{
    if (text_equal_nocase(name, TEXT("host"))) {
        head->hosts++;
        head->host = text_trim(value);
    } else if (text_equal_nocase(name, TEXT("expect"))) {
        head->expects = true;
    } else if (text_equal_nocase(name, TEXT("content-length"))) {
        head->lengths++;
        head->length = value;
    } else if (text_equal_nocase(name, TEXT("transfer-encoding"))) {
        head->encodings++;
        head->encoding = value;
    }
}

/* The line that the field stands in: name, colon, blanks, value, CRLF. */
static void walk_field(struct head *head, struct text name, struct text value)
{
    if (head->next == NULL || name.data != head->next || value.data <= name.data + name.size) {
        head->next = NULL;
        return;
    }
    const char *at = name.data + name.size + 1;
    while (at < value.data && (*at == ' ' || *at == '\t'))
        at++;
    head->next = at == value.data ? value.data + value.size + 2 : NULL;
}

static enum MHD_Result on_field(void *ctx, enum MHD_ValueKind kind, const char *name,
                                size_t name_size, const char *value, size_t value_size)
{
    (void)kind;
    struct head *head = ctx;
    struct text name_text = { name, name_size }, value_text = { value, value_size };
    head->fields++;
    walk_field(head, name_text, value_text);
    if (!is_token(name_text) || !is_field_value(value_text))
        head->malformed = true;
    /* The sizes of the four names that matter: most fields cost no comparison. */
    if (name_size == 4 || name_size == 6 || name_size == 14 || name_size == 17)
        see_field(head, name_text, value_text);
    return MHD_YES;
}

/* Where the line after the request line must begin; NULL: it is not "method SP target SP version".
 */
static const char *walk_request_line(const struct http_exchange *x, const char *version)
{
    const char *target = x->method + strlen(x->method) + 1;
    if (x->target.data != target || version != target + x->target.size + 1)
        return NULL;
    return version + strlen(version) + 2;
}

/* Whether the walk has come to the empty line, and that ends the head. */
static bool is_as_received(const struct http_exchange *x, const struct head *head)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return head->next != NULL && info != NULL && head->next + 2 == x->method + info->header_size;
}

static void check_size(struct http_exchange *x, const struct head *head)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (x->url.failed)
        http_refuse(x, 414, ERR_URI_TOO_LONG, "the URL may have 8192 bytes");
    else if (head->fields > LIMIT_HEADER_FIELDS)
        http_refuse(x, 431, ERR_HEADERS_TOO_LARGE, "a request may have 64 header fields");
    else if (info && info->header_size > LIMIT_HEAD)
        http_refuse(x, 431, ERR_HEADERS_TOO_LARGE, "a request head may have 16384 bytes");
}

static void check_form(struct http_exchange *x, const struct head *head)
{
    struct text url = buffer_text(&x->url);
    if (head->malformed)
        http_refuse(x, 400, ERR_INVALID,
                    "a header field has a blank or a control character where none may be");
    else if (!is_as_received(x, head))
        http_refuse(x, 400, ERR_INVALID,
                    "the head has a bare line feed, a folded line, a NUL or a surplus blank");
    else if (!is_token(text_from(x->method)))
        http_refuse(x, 400, ERR_INVALID, "the method is no word");
    else if (url.size == 0 || !text_is_printable(url) || text_find(url, ' ') < url.size)
        http_refuse(x, 400, ERR_INVALID, "the URL has a blank or a control character");
    else if (url.data[0] != '/' && !text_equal(url, TEXT("*")))
        http_refuse(x, 400, ERR_INVALID, "the URL is no path");
}

static void check_framing(struct http_exchange *x, const struct head *head, const char *version)
{
    bool is_1_0 = strcmp(version, "HTTP/1.0") == 0;
    if (head->hosts > 1)
        http_refuse(x, 400, ERR_INVALID, "more than one Host field");
    else if (!is_host(head->host))
        http_refuse(x, 400, ERR_INVALID, "the Host field names no host");
    else if (head->lengths > 1)
        http_refuse(x, 400, ERR_INVALID, "more than one Content-Length field");
    else if (head->encodings > 0 && head->lengths > 0)
        http_refuse(x, 400, ERR_INVALID, "both Content-Length and Transfer-Encoding");
    else if (head->encodings > 0 && is_1_0)
        http_refuse(x, 400, ERR_INVALID, "Transfer-Encoding needs HTTP/1.1");
    else if (head->encodings > 1 ||
             (head->encodings == 1 && !text_equal_nocase(head->encoding, TEXT("chunked"))))
        http_refuse(x, 501, ERR_CODING, "the only Transfer-Encoding here is chunked");
    else if (head->encodings == 1)
        x->content_length = UINT64_MAX;
    else if (head->lengths == 1 && !text_to_u64(head->length, INT64_MAX, &x->content_length))
        http_refuse(x, 400, ERR_INVALID, "Content-Length is no plain number");
}

void http_check_head(struct http_exchange *x, const char *version, bool *ret_expects)
{
    struct head head = { .next = walk_request_line(x, version) };
    MHD_get_connection_values_n(x->connection->mhd, MHD_HEADER_KIND, on_field, &head);
    check_size(x, &head);
    if (x->refusal == ERR_NONE)
        check_form(x, &head);
    if (x->refusal == ERR_NONE)
        check_framing(x, &head, version);
    *ret_expects = head.expects;
}
