/* SPDX-License-Identifier: Apache-2.0
 * json_pointer.c - JSON pointers in a fixed space. */
#include "wire/json_pointer.h"

/* Whole pieces only: a cut never splits an escape. */
static void add(struct json_pointer *p, const char *piece, size_t size)
{
    if (p->is_cut || size > sizeof(p->text) - 1 - p->size) {
        p->is_cut = true;
        return;
    }
    memcpy(p->text + p->size, piece, size);
    p->size += size;
    p->text[p->size] = '\0';
}

/* Bytes of the UTF-8 character that starts with `lead`. */
static size_t character_size(unsigned char lead)
{
    return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

void json_pointer_key(struct json_pointer *p, struct text key)
{
    add(p, "/", 1);
    for (size_t i = 0, size; i < key.size; i += size) {
        size = character_size((unsigned char)key.data[i]);
        if (size > key.size - i)
            size = key.size - i;
        if (key.data[i] == '~')
            add(p, "~0", 2);
        else if (key.data[i] == '/')
            add(p, "~1", 2);
        else
            add(p, key.data + i, size);
    }
}

void json_pointer_index(struct json_pointer *p, uint32_t index)
{
    char piece[16];
    int size = snprintf(piece, sizeof(piece), "/%u", index);
    add(p, piece, (size_t)size);
}
