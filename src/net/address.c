/* SPDX-License-Identifier: Apache-2.0
 * address.c - see address.h. */
#include "net/address.h"

#include <arpa/inet.h>
#include <assert.h>

#define HOST_SIZE 48

static bool refuse(struct text t, struct err *err)
{
    char excerpt[ERR_EXCERPT_SIZE];
    return err_set(
        err, ERR_INVALID,
        "\"%s\" is no address to listen on: write IPv4 as 127.0.0.1:7420, IPv6 as "
        "[::1]:7420, all interfaces as 0.0.0.0:7420 or [::]:7420; the port is 0 to 65535",
        err_excerpt(t, excerpt));
}

/* Splits "host:port" or "[host]:port". */
static bool split(struct text t, struct text *ret_host, struct text *ret_port, bool *ret_bracketed)
{
    bool bracketed = t.size > 0 && t.data[0] == '[';
    size_t host_end = text_find(t, bracketed ? ']' : ':');
    size_t colon = bracketed ? host_end + 1 : host_end;
    if (colon >= t.size || t.data[colon] != ':')
        return false;
    *ret_host = (struct text){ t.data + bracketed, host_end - bracketed };
    *ret_port = text_skip(t, colon + 1);
    *ret_bracketed = bracketed;
    return true;
}

bool address_parse(struct text t, union address *ret, struct err *err)
{
    struct text host, port;
    bool bracketed;
    uint64_t number;
    char host_text[HOST_SIZE];
    if (!split(t, &host, &port, &bracketed) || !text_to_u64(port, UINT16_MAX, &number) ||
        host.size == 0 || host.size >= sizeof host_text)
        return refuse(t, err);
    if (!bracketed && text_equal_nocase(host, TEXT("localhost")))
        host = TEXT("127.0.0.1");
    memcpy(host_text, host.data, host.size);
    host_text[host.size] = '\0';

    union address address = { 0 };
    address.any.sa_family = bracketed ? AF_INET6 : AF_INET;
    void *bytes = bracketed ? (void *)&address.v6.sin6_addr : (void *)&address.v4.sin_addr;
    if (inet_pton(address.any.sa_family, host_text, bytes) != 1)
        return refuse(t, err);
    if (bracketed)
        address.v6.sin6_port = htons((uint16_t)number);
    else
        address.v4.sin_port = htons((uint16_t)number);
    *ret = address;
    return true;
}

socklen_t address_size(const union address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

uint16_t address_port(const union address *address)
{
    return ntohs(address->any.sa_family == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port);
}

bool address_is_loopback(const union address *address)
{
    if (address->any.sa_family == AF_INET)
        return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
    const struct in6_addr *host = &address->v6.sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(host) || (IN6_IS_ADDR_V4MAPPED(host) && host->s6_addr[12] == 127);
}

const char *address_format_host(const union address *address, char space[static ADDRESS_TEXT_SIZE])
{
    const void *bytes = &address->v4.sin_addr;
    int family = AF_INET;
    if (address->any.sa_family == AF_INET6) {
        bool is_mapped = IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr);
        bytes =
            is_mapped ? &address->v6.sin6_addr.s6_addr[12] : (const void *)&address->v6.sin6_addr;
        family = is_mapped ? AF_INET : AF_INET6;
    }
    const char *text = inet_ntop(family, bytes, space, ADDRESS_TEXT_SIZE);
    assert(text);
    return text;
}

const char *address_format(const union address *address, char space[static ADDRESS_TEXT_SIZE])
{
    char host[ADDRESS_TEXT_SIZE];
    address_format_host(address, host);
    bool is_v6 = strchr(host, ':') != NULL;
    snprintf(space, ADDRESS_TEXT_SIZE, is_v6 ? "[%.45s]:%u" : "%.45s:%u", host,
             address_port(address));
    return space;
}
