/* SPDX-License-Identifier: Apache-2.0
 * texts.c - the readers of single texts, each against a second, plainer one: UTF-8, numbers,
 * addresses, percent-encoding; and the writers that must make any bytes harmless. */
#include "base/text.h"

#include "base/format.h"
#include "cmd/terminal.h"
#include "fuzz.h"
#include "net/address.h"
#include "wire/json_pull.h"
#include "wire/json_write.h"

#include <arpa/inet.h>
#include <string.h>

/* By the table of RFC 3629: decodes one character at a time and asks whether it was well-formed. */
static bool is_utf8(struct text t)
{
    static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    for (size_t i = 0; i < t.size;) {
        unsigned char first = (unsigned char)t.data[i];
        size_t size = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : 4;
        uint32_t point = size == 1 ? first : first & (0xffu >> (size + 1));
        if ((first >= 0x80 && first < 0xc0) || first >= 0xf8 || size > t.size - i)
            return false;
        for (size_t k = 1; k < size; k++) {
            unsigned char next = (unsigned char)t.data[i + k];
            if (next >> 6 != 2)
                return false;
            point = point << 6 | (next & 0x3f);
        }
        if ((size > 1 && point < least[size]) || point > 0x10ffff ||
            (point >= 0xd800 && point <= 0xdfff))
            return false;
        i += size;
    }
    return true;
}

void fuzz_utf8(struct text input)
{
    struct text rest = input;
    size_t size;
    CLAIM(text_is_utf8(input) == is_utf8(input));
    while ((size = text_utf8_size(rest)) > 0) {
        CLAIM(is_utf8((struct text){ rest.data, size }));
        rest = text_skip(rest, size);
    }
    CLAIM((rest.size == 0) == is_utf8(input));
}

void fuzz_number(struct text input)
{
    uint64_t value = 7, expected = 0;
    bool is_number = input.size > 0 && (input.data[0] != '0' || input.size == 1);
    for (size_t i = 0; i < input.size && is_number; i++)
        is_number = input.data[i] >= '0' && input.data[i] <= '9' &&
                    !__builtin_mul_overflow(expected, 10u, &expected) &&
                    !__builtin_add_overflow(expected, (unsigned)(input.data[i] - '0'), &expected);

    CLAIM(text_to_u64(input, UINT64_MAX, &value) == is_number);
    CLAIM(value == (is_number ? expected : 7));
    CLAIM(text_to_u64(input, 1000, &value) == (is_number && expected <= 1000));
}

void fuzz_escapes(struct text input)
{
    struct fuzz f;
    struct text decoded, again;
    char *space = malloc(input.size + 1), *more = malloc(3 * input.size + 1);
    fuzz_begin(&f);
    CLAIM(space && more);
    percent_encode(&f.out, input);
    CLAIM(text_find(buffer_text(&f.out), ' ') == f.out.size);
    bool has_nul = text_find(input, '\0') < input.size;
    CLAIM(percent_decode(buffer_text(&f.out), more, &again) == !has_nul);
    if (!has_nul)
        fuzz_claim_equal(again, input);
    if (percent_decode(input, space, &decoded)) {
        CLAIM(decoded.size <= input.size && text_find(decoded, '\0') == decoded.size);
        percent_encode(&f.again, decoded);
        CLAIM(percent_decode(buffer_text(&f.again), more, &again));
        fuzz_claim_equal(again, decoded);
    }
    free(space);
    free(more);
    fuzz_end(&f);
}

void fuzz_address(struct text input)
{
    char text[64], space[ADDRESS_TEXT_SIZE], again[ADDRESS_TEXT_SIZE];
    unsigned char bytes[16];
    union address address, second;
    struct err err = { .code = ERR_NONE };
    if (input.size < sizeof text && text_find(input, '\0') == input.size) {
        memcpy(text, input.data, input.size);
        text[input.size] = '\0';
        bool is_ip = inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
        if (is_ip_address(input) != is_ip)
            fprintf(stderr, "inet_pton() says %d of \"%s\"\n", is_ip, text);
        CLAIM(is_ip_address(input) == is_ip);
    }
    if (address_parse(input, &address, &err)) {
        address_format(&address, space);
        CLAIM(address_parse(text_from(space), &second, &err));
        CLAIM(strcmp(space, address_format(&second, again)) == 0);
        CLAIM(address_port(&address) == address_port(&second));
    } else {
        CLAIM_ERROR(&err, ERR_INVALID, ERR_USAGE);
    }
}

void fuzz_shown(struct text input)
{
    struct fuzz f;
    char excerpt[ERR_EXCERPT_SIZE];
    const struct json_node *root = NULL;
    fuzz_begin(&f);
    fuzz_claim_safe(text_from(err_excerpt(input, excerpt)));
    terminal_add(&f.out, input);
    fuzz_claim_safe(buffer_text(&f.out));
    CLAIM(terminal_fit(buffer_text(&f.out), terminal_columns(buffer_text(&f.out))) == f.out.size);

    buffer_add_byte(&f.again, '[');
    json_quote(&f.again, input);
    buffer_add_byte(&f.again, ']');
    fuzz_claim_safe(buffer_text(&f.again));
    bool has_nul = text_find(input, '\0') < input.size; /* valid JSON, but nothing we take */
    CLAIM(json_tree_parse(buffer_text(&f.again), &f.arena, &root, &f.err) == !has_nul);
    if (root)
        CLAIM(root->count == 1 && root->first->kind == JSON_NODE_TEXT);
    if (root && text_is_utf8(input))
        fuzz_claim_equal(root->first->text, input);
    fuzz_end(&f);
}
