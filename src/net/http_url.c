/* SPDX-License-Identifier: Apache-2.0
 * http_url.c - see http_url.h. libcurl does the parsing, so that what we check is what it uses. */
#include "net/http_url.h"

#include "base/cleanup.h"

#include <curl/curl.h>

static bool refuse(struct text t, struct err *err)
{
    /* Not even an excerpt when it may hold a password. */
    if (text_find(t, '@') < t.size)
        return err_set(err, ERR_INVALID, "the server's URL is not of the form http://host:port");
    char excerpt[ERR_EXCERPT_SIZE];
    return err_set(err, ERR_INVALID,
                   "\"%s\" is no server URL: write http://host:port or https://host:port",
                   err_excerpt(t, excerpt));
}

static void free_parts(CURLU **parts)
{
    curl_url_cleanup(*parts);
}

static bool has(CURLU *parts, CURLUPart part)
{
    char *value = NULL;
    bool there = curl_url_get(parts, part, &value, 0) == CURLUE_OK;
    curl_free(value);
    return there;
}

static bool scheme_is_known(CURLU *parts)
{
    char *scheme = NULL;
    if (curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
        return false;
    struct text t = text_from(scheme);
    bool known = text_equal(t, TEXT("http")) || text_equal(t, TEXT("https"));
    curl_free(scheme);
    return known;
}

/* The whole URL without the slash at its end. */
static bool copy_url(CURLU *parts, char space[static HTTP_URL_SIZE])
{
    char *url = NULL;
    if (curl_url_get(parts, CURLUPART_URL, &url, 0) != CURLUE_OK)
        return false;
    size_t size = strlen(url);
    while (size > 0 && url[size - 1] == '/')
        size--;
    /* Escapes in a host are gone now, so what they stood for is looked at here. */
    struct text t = { url, size };
    bool fits = size < HTTP_URL_SIZE && text_is_printable(t) && text_is_utf8(t);
    if (fits) {
        memcpy(space, url, size);
        space[size] = '\0';
    }
    curl_free(url);
    return fits;
}

bool http_url_parse(struct text t, struct http_url *ret, struct err *err)
{
    char text[HTTP_URL_SIZE];
    if (t.size >= sizeof text || !text_is_printable(t))
        return refuse(t, err);
    memcpy(text, t.data, t.size);
    text[t.size] = '\0';

    cleanup(free_parts) CURLU *parts = curl_url();
    if (!parts)
        return err_set(err, ERR_MEMORY, "no memory for a URL");
    struct http_url url = { 0 };
    if (curl_url_set(parts, CURLUPART_URL, text, 0) != CURLUE_OK || !scheme_is_known(parts) ||
        has(parts, CURLUPART_QUERY) || has(parts, CURLUPART_FRAGMENT) || !copy_url(parts, url.base))
        return refuse(t, err);
    curl_url_set(parts, CURLUPART_USER, NULL, 0);
    curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0);
    if (!copy_url(parts, url.shown))
        return refuse(t, err);
    *ret = url;
    return true;
}
