#define _GNU_SOURCE
#include "receivers.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "clock.h"

enum { BUFFER = 1 << 20, FIRST_SOURCE = 0x7f000002 /* 127.0.0.2: each source has its own range of ports */ };

receivers_options options;
receivers_state state;
receiver *receivers;
static int epoll_fd;
static uint8_t buffer[BUFFER];

void receivers_prepare(int fd) {
  epoll_fd = fd;
  receivers = calloc((size_t)options.count, sizeof *receivers);
  if (!receivers) exit(1);
  for (int i = 0; i < options.count; i++) receivers[i] = (receiver){.fd = -1, .stage = DEAD};
}

const char *receiver_token(const receiver *it) {
  return options.token_count ? options.tokens[(it - receivers) % options.token_count] : "";
}

size_t with_token(char *into, size_t room, const char *pattern, const char *token) {
  const char *place = strstr(pattern, "%T");
  int size = place ? snprintf(into, room, "%.*s%s%s", (int)(place - pattern), pattern, token, place + 2)
                   : snprintf(into, room, "%s", pattern);
  if (size < 0 || (size_t)size >= room) {
    fprintf(stderr, "a token is too long\n");
    exit(1);
  }
  return (size_t)size;
}

void receiver_is_ready(receiver *it) {
  it->stage = READY;
  state.ready++;
  state.connecting--;
}

static void forget(receiver *it) {
  if (it->fd >= 0) close(it->fd);
  free(it->rest);
  *it = (receiver){.fd = -1, .stage = DEAD};
}

void receiver_kill(receiver *it) {
  if (it->stage == DEAD) return;
  if (it->stage == READY) state.ready--;
  else state.connecting--;
  state.dead++;
  forget(it);
}

void receivers_close_all(void) {
  for (int i = 0; i < options.count; i++) forget(&receivers[i]);
  state.ready = state.dead = state.started = state.connecting = state.complete = 0;
  histogram_clear(&state.completion);
}

/* -- writing --------------------------------------------------------------------------------------------------- */
void receiver_send_text(receiver *it, const char *text, size_t size) {
  uint8_t frame[9100];
  size_t head = 0;
  frame[head++] = 0x81;
  if (size < 126) {
    frame[head++] = (uint8_t)(0x80 | size);
  } else {
    frame[head++] = 0x80 | 126;
    frame[head++] = (uint8_t)(size >> 8);
    frame[head++] = (uint8_t)size;
  }
  memset(frame + head, 0, 4); /* masked with zeros */
  head += 4;
  memcpy(frame + head, text, size);
  if (send(it->fd, frame, head + size, MSG_NOSIGNAL) != (ssize_t)(head + size)) receiver_kill(it);
}

static int port_of(const receiver *it) { return options.ports[(it - receivers) % options.port_count]; }

static void ask(receiver *it) {
  char request[20000], path[9000], headers[9000] = "";
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(it->fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error) {
    state.errors++;
    receiver_kill(it);
    return;
  }
  with_token(path, sizeof path, options.path, receiver_token(it));
  if (options.headers) with_token(headers, sizeof headers, options.headers, receiver_token(it));
  const char *kind = options.protocol == SSE
                         ? "Accept: text/event-stream\r\n"
                         : "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s%s%s\r\n", path,
                      port_of(it), kind, headers, headers[0] ? "\r\n" : "");
  it->stage = ASKED;
  if (send(it->fd, request, (size_t)size, MSG_NOSIGNAL) != size) {
    receiver_kill(it);
    return;
  }
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)(it - receivers)};
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, it->fd, &event);
}

/* -- opening --------------------------------------------------------------------------------------------------- */
static void open_one(int i) {
  receiver *it = &receivers[i];
  int one = 1;
  *it = (receiver){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), .stage = CONNECTING};
  if (it->fd < 0) {
    perror("socket");
    exit(1);
  }
  it->opened_at = now_ns();
  setsockopt(it->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(it->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(FIRST_SOURCE + (uint32_t)(i % options.sources));
  if (bind(it->fd, (struct sockaddr *)&address, sizeof address)) {
    perror("bind");
    exit(1);
  }
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons((uint16_t)port_of(it));
  state.started++;
  state.connecting++;
  if (connect(it->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) {
    state.errors++;
    receiver_kill(it);
    return;
  }
  struct epoll_event event = {.events = EPOLLOUT, .data.u64 = (uint64_t)i};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, it->fd, &event);
}

void receivers_open_more(void) {
  while (state.started < options.count && state.connecting < options.in_flight) open_one(state.started);
}

/* -- reading --------------------------------------------------------------------------------------------------- */
/* Reads the answer's head; returns its size, 0 when it has not come whole. */
static size_t parse_head(receiver *it, size_t size) {
  uint8_t *end = memmem(buffer, size, "\r\n\r\n", 4);
  if (!end) return 0;
  if (atoi((char *)buffer + 9) != (options.protocol == SSE ? 200 : 101)) {
    if (!state.errors++) fprintf(stderr, "answered %.*s\n", (int)(size < 400 ? size : 400), buffer);
    receiver_kill(it);
    return 0;
  }
  it->stage = OPENED;
  if (options.protocol != SOCKETIO) {
    if (options.greeting) it->stage = GREETED;
    else receiver_is_ready(it);
  }
  return (size_t)(end - buffer) + 4;
}

static void keep_rest(receiver *it, const uint8_t *data, size_t size) {
  if (size > it->capacity) {
    it->capacity = size < 1024 ? 1024 : (uint32_t)size * 2;
    it->rest = realloc(it->rest, it->capacity);
    if (!it->rest) exit(1);
  }
  memcpy(it->rest, data, size);
  it->kept = (uint32_t)size;
}

static void read_more(receiver *it) {
  size_t size = it->kept, used = 0;
  if (size) memcpy(buffer, it->rest, size);
  ssize_t got = recv(it->fd, buffer + size, BUFFER - size, 0);
  if (got <= 0) {
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) receiver_kill(it);
    return;
  }
  size += (size_t)got;
  it->kept = 0;
  if (it->stage == ASKED) used = parse_head(it, size);
  if (it->stage == DEAD) return;
  if (it->stage > ASKED)
    used += options.protocol == SSE ? parse_sse(it, buffer + used, size - used)
                                    : parse_websocket(it, buffer + used, size - used);
  if (it->stage != DEAD && size > used) keep_rest(it, buffer + used, size - used);
}

void receivers_ready_event(receiver *it) {
  if (it->stage == DEAD) return;
  if (it->stage == CONNECTING) ask(it);
  else read_more(it);
}
