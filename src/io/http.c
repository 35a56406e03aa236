/* http.c: downloads that resume, are checked, and appear whole.
 *
 * A range request asks for the bytes that .part lacks. The server may answer
 * with them (206), with the whole file (200: .part starts over) or that there
 * are none (416). If the result has a wrong digest after a resume, the whole
 * file is asked for once more before that is an error. */
#include "io/http.h"

#include "base/file.h"
#include "base/str.h"
#include "io/digest.h"

#include <curl/curl.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { REDIRECTS_MAX = 10, CONNECT_SECONDS = 30, STALL_SECONDS = 60 };

typedef struct transfer {
    const char *url, *path, *digest;
    char *part;
    CURL *curl;
    FILE *stream; /* .part */
    int64_t before; /* bytes of .part when the request was made */
    bool started; /* the first byte of the answer has come */
    bool stopped; /* by progress */
    int disk_error;
    lmb_http_progress *progress;
    void *user;
    char error[CURL_ERROR_SIZE];
} transfer;

static size_t on_bytes(char *bytes, size_t size, size_t count, void *user)
{
    transfer *t = user;
    long code = 0;
    const size_t n = size * count;
    (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &code);
    if (!t->started && t->before > 0 && code == 200) {
        t->before = 0; /* the server sends all of it */
        if (ftruncate(fileno(t->stream), 0) != 0) {
            t->disk_error = errno;
            return 0;
        }
    }
    t->started = true;
    if (fwrite(bytes, 1, n, t->stream) == n)
        return n;
    t->disk_error = errno;
    return 0;
}

static int on_progress(void *user, curl_off_t total, curl_off_t done,
    curl_off_t up_total, curl_off_t up)
{
    transfer *t = user;
    (void)up_total;
    (void)up;
    if (t->progress == NULL)
        return 0;
    t->stopped = !t->progress(
        t->before + done, total > 0 ? t->before + total : 0, t->user);
    return t->stopped ? 1 : 0;
}

static void set_options(transfer *t)
{
    CURL *c = t->curl;
    (void)curl_easy_setopt(c, CURLOPT_URL, t->url);
#if LIBCURL_VERSION_NUM >= 0x075500
    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
    const long protocols = CURLPROTO_HTTP | CURLPROTO_HTTPS;
    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS, protocols);
    (void)curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS, protocols);
#endif
    (void)curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    (void)curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    (void)curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    (void)curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)STALL_SECONDS);
    (void)curl_easy_setopt(c, CURLOPT_USERAGENT, "limbeck/" LMB_VERSION);
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->error);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
    (void)curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
}

static lmb_status transfer_error(const transfer *t, CURLcode code)
{
    long status = 0;
    (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->disk_error != 0)
        return LMB_FAIL(LMB_EIO, "%s: %s", t->part, strerror(t->disk_error));
    if (t->stopped)
        return LMB_FAIL(LMB_EINTERRUPTED, "%s: stopped", t->url);
    if (code == CURLE_HTTP_RETURNED_ERROR)
        return LMB_FAIL(
            status == 404 || status == 410 ? LMB_ENOTFOUND : LMB_EIO,
            "%s: the server answers with status %ld", t->url, status);
    if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT)
        return LMB_FAIL(LMB_EINVAL, "%s: not an http or https address", t->url);
    const char *why = t->error[0] != '\0' ? t->error : curl_easy_strerror(code);
    return LMB_FAIL(code == CURLE_OUT_OF_MEMORY ? LMB_ENOMEM : LMB_EIO,
        "%s: %s%s", t->url, why,
        code == CURLE_PARTIAL_FILE ? "; the next try goes on from there" : "");
}

/* Appends to .part what it lacks; *none if the server has nothing more. */
static lmb_status request(transfer *t, bool *none)
{
    char range[32];
    long status = 0;
    t->started = false;
    t->disk_error = 0;
    t->error[0] = '\0';
    (void)snprintf(range, sizeof range, "%lld-", (long long)t->before);
    (void)curl_easy_setopt(
        t->curl, CURLOPT_RANGE, t->before > 0 ? range : NULL);
    const CURLcode code = curl_easy_perform(t->curl);
    (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    *none = status == 416 && t->before > 0;
    return code == CURLE_OK || *none ? LMB_OK : transfer_error(t, code);
}

static lmb_status open_part(transfer *t, bool resume)
{
    t->stream = fopen(t->part, resume ? "ab" : "wb");
    if (t->stream == NULL)
        return LMB_FAIL(LMB_EIO, "%s: %s", t->part, strerror(errno));
    (void)fseek(t->stream, 0, SEEK_END);
    t->before = ftell(t->stream);
    return LMB_OK;
}

static lmb_status close_part(transfer *t, lmb_status st)
{
    if (t->stream == NULL)
        return st;
    const bool good = fflush(t->stream) == 0 && fsync(fileno(t->stream)) == 0;
    const int error = errno;
    const bool closed = fclose(t->stream) == 0;
    t->stream = NULL;
    if (st == LMB_OK && (!good || !closed))
        return LMB_FAIL(
            LMB_EIO, "%s: %s", t->part, strerror(good ? errno : error));
    return st;
}

static lmb_status has_digest(
    const char *path, const char *digest, bool *out, char have[LMB_DIGEST_TEXT])
{
    LMB_TRY(lmb_digest_file(path, lmb_digest_kind_of(digest), have));
    *out = lmb_str_equal_nocase(have, digest);
    return LMB_OK;
}

/* One request; *right tells whether .part is now what was asked for. */
static lmb_status attempt(
    transfer *t, bool resume, bool *right, char have[LMB_DIGEST_TEXT])
{
    bool none = false;
    LMB_TRY(open_part(t, resume));
    LMB_TRY(close_part(t, request(t, &none)));
    *right = true;
    if (t->digest != NULL)
        LMB_TRY(has_digest(t->part, t->digest, right, have));
    return LMB_OK;
}

static lmb_status fetch(transfer *t)
{
    bool right = false;
    char have[LMB_DIGEST_TEXT] = "";
    const bool resume = t->digest != NULL && lmb_path_exists(t->part);
    LMB_TRY(attempt(t, resume, &right, have));
    if (!right && resume)
        LMB_TRY(attempt(t, false, &right, have));
    if (!right) {
        (void)unlink(t->part);
        return LMB_FAIL(LMB_EFORMAT,
            "%s: the file's digest is %s, not %s; it was removed", t->url, have,
            t->digest);
    }
    if (rename(t->part, t->path) != 0)
        return LMB_FAIL(LMB_EIO, "%s: %s", t->path, strerror(errno));
    return LMB_OK;
}

lmb_status lmb_http_get(const char *url, const char *path, const char *digest,
    lmb_http_progress *progress, void *user)
{
    transfer t = {.url = url,
        .path = path,
        .digest = digest,
        .progress = progress,
        .user = user};
    lmb_status st = LMB_OK;
    if (digest != NULL && lmb_digest_kind_of(digest) == 0)
        return LMB_FAIL(LMB_EINVAL,
            "%s: digest '%.80s' is neither SHA-256 nor MD5", url, digest);
    if (digest != NULL && lmb_path_exists(path)) {
        char have[LMB_DIGEST_TEXT];
        bool right = false;
        LMB_TRY(has_digest(path, digest, &right, have));
        if (right)
            return LMB_OK;
    }
    const size_t size = strlen(path) + sizeof ".part";
    LMB_GOTO(LMB_NEW(t.part, size), st, done);
    (void)snprintf(t.part, size, "%s.part", path);
    t.curl = curl_easy_init();
    if (t.curl == NULL)
        LMB_GOTO(LMB_FAIL(LMB_ENOMEM, "%s: no memory for a transfer", url), st,
            done);
    set_options(&t);
    LMB_GOTO(fetch(&t), st, done);
done:
    st = close_part(&t, st);
    if (t.curl != NULL)
        curl_easy_cleanup(t.curl);
    lmb_free(t.part);
    return st;
}
