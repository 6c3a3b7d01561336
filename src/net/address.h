/* SPDX-License-Identifier: Apache-2.0
 * address.h - socket addresses as text: "127.0.0.1:7420", "[::1]:7420". No names are looked up. */
#ifndef DIDES_NET_ADDRESS_H
#define DIDES_NET_ADDRESS_H

#include "base/err.h"
#include "base/text.h"

#include <netinet/in.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Longest text, NUL included: a bracketed IPv6 address and a port. */
#define ADDRESS_TEXT_SIZE 56

/* Reads an address to listen on; "localhost" stands for 127.0.0.1, port 0 for any free port. The
 * error says which forms are allowed. */
bool address_parse(struct text t, union address *ret, struct err *err);
socklen_t address_size(const union address *address);
uint16_t address_port(const union address *address);
/* Both write into `space` and return it. */
const char *address_format(const union address *address, char space[static ADDRESS_TEXT_SIZE]);
bool address_is_loopback(const union address *address);
/* The host alone, without brackets; an IPv4 address that came as ::ffff:a.b.c.d is a.b.c.d. */
const char *address_format_host(const union address *address, char space[static ADDRESS_TEXT_SIZE]);

#endif
