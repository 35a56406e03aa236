/* http_server.h: a small HTTP server on the loopback, in a process of its own,
 * for tests of downloads. The test says what it answers. */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "lmb_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Writes the answer to `request` (method, address, fields) to `fd`. */
typedef void server_answer(int fd, const char *request);

typedef struct http_server {
    pid_t process;
    int port;
} http_server;

static inline void server_send(int fd, const void *bytes, size_t size)
{
    const uint8_t *p = bytes;
    while (size > 0) {
        const ssize_t n = send(fd, p, size, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        p += n;
        size -= (size_t)n;
    }
}

/* Claims a body of `claimed` bytes and sends `sent` of them. */
static inline void server_reply(int fd, const char *status, const char *extra,
    const void *body, size_t claimed, size_t sent)
{
    char head[512];
    const int n = snprintf(head, sizeof head,
        "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n",
        status, claimed, extra);
    server_send(fd, head, (size_t)n);
    server_send(fd, body, sent);
}

/* The first byte that is asked for; -1 without a range. */
static inline long server_range(const char *request)
{
    const char *field = strstr(request, "Range: bytes=");
    return field != NULL ? strtol(field + 13, NULL, 10) : -1;
}

/* The whole body, or what a range asks for. */
static inline void server_reply_range(
    int fd, const char *request, const void *body, size_t size)
{
    const long from = server_range(request);
    char range[96];
    if (from < 0) {
        server_reply(fd, "200 OK", "", body, size, size);
    } else if ((size_t)from >= size) {
        server_reply(fd, "416 Range Not Satisfiable", "", body, 0, 0);
    } else {
        const size_t left = size - (size_t)from;
        (void)snprintf(range, sizeof range,
            "Content-Range: bytes %ld-%zu/%zu\r\n", from, size - 1, size);
        server_reply(fd, "206 Partial Content", range,
            (const uint8_t *)body + from, left, left);
    }
}

static inline void server_loop(int listener, server_answer *answer)
{
    for (;;) {
        char request[4096] = "";
        size_t n = 0;
        const int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            _exit(0);
        while (n < sizeof request - 1 && strstr(request, "\r\n\r\n") == NULL) {
            const ssize_t got =
                recv(fd, request + n, sizeof request - 1 - n, 0);
            if (got <= 0)
                break;
            n += (size_t)got;
            request[n] = '\0';
        }
        answer(fd, request);
        (void)close(fd);
    }
}

/* 0, or -1 if there is no network at all. */
static inline int server_start(http_server *s, server_answer *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 ||
        listen(fd, 8) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0 ||
        setenv("no_proxy", "127.0.0.1", 1) != 0)
        return -1;
    s->port = ntohs(address.sin_port);
    s->process = fork();
    if (s->process == 0)
        server_loop(fd, answer);
    (void)close(fd);
    return s->process > 0 ? 0 : -1;
}

static inline void server_stop(http_server *s)
{
    (void)kill(s->process, SIGTERM);
    (void)waitpid(s->process, NULL, 0);
}

#endif
