/* limit: what this machine can do at most. An epoll server that knows just enough WebSocket, Engine.IO and SSE to be
 * connected to, and otherwise writes prebuilt frames: no rooms, no tokens, no pings, no bounds.
 *
 *   limit PORT LINE_PORT [sse]
 *
 * Lines "<room> <json>\n" on LINE_PORT go to everybody. What is read at once is joined into one send per connection. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "sha1.h"

enum { MOST = 1 << 17, EVENTS = 1024, LINES = 1 << 20, FRAMES = 1 << 19, REQUEST = 1 << 16, LINE = 60000 };
typedef enum { NEW, OPENED, LISTENING } stage;
typedef struct {
  int fd, place;
  stage stage;
  uint8_t *waiting; /* what the kernel did not take */
  size_t size, room;
} peer;

static peer *peers[MOST];       /* by descriptor */
static peer *listening[MOST];   /* those that get what is published */
static int listening_count, epoll_fd, sse;

static void watch(int fd, uint32_t events, int how) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  epoll_ctl(epoll_fd, how, fd, &event);
}

/* -- writing --------------------------------------------------------------------------------------------------- */
static size_t text_frame(uint8_t *into, const void *text, size_t size) {
  size_t head = 0;
  into[head++] = 0x81;
  if (size < 126) {
    into[head++] = (uint8_t)size;
  } else {
    into[head++] = 126;
    into[head++] = (uint8_t)(size >> 8);
    into[head++] = (uint8_t)size;
  }
  memcpy(into + head, text, size);
  return head + size;
}

static void keep(peer *it, const uint8_t *data, size_t size) {
  if (it->size + size > it->room) {
    it->room = (it->size + size) * 2;
    it->waiting = realloc(it->waiting, it->room);
    if (!it->waiting) exit(1);
  }
  memcpy(it->waiting + it->size, data, size);
  if (!it->size) watch(it->fd, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
  it->size += size;
}

static void put(peer *it, const void *data, size_t size) {
  ssize_t sent = it->size ? 0 : send(it->fd, data, size, MSG_NOSIGNAL);
  if (sent < 0) sent = 0; /* a broken one shows when it is read */
  if ((size_t)sent < size) keep(it, (const uint8_t *)data + sent, size - (size_t)sent);
}

static void put_waiting(peer *it) {
  ssize_t sent = send(it->fd, it->waiting, it->size, MSG_NOSIGNAL);
  if (sent <= 0) return;
  it->size -= (size_t)sent;
  memmove(it->waiting, it->waiting + sent, it->size);
  if (!it->size) watch(it->fd, EPOLLIN, EPOLL_CTL_MOD);
}

/* -- peers ----------------------------------------------------------------------------------------------------- */
static void listens(peer *it) {
  it->stage = LISTENING;
  it->place = listening_count;
  listening[listening_count++] = it;
}

static void drop(peer *it) {
  if (it->stage == LISTENING) {
    listening[it->place] = listening[--listening_count];
    listening[it->place]->place = it->place;
  }
  peers[it->fd] = NULL;
  close(it->fd);
  free(it->waiting);
  free(it);
}

static void handshake(peer *it, const char *request) {
  static const char open[] = "0{\"sid\":\"abc\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,"
                             "\"maxPayload\":1000000}";
  char answer[1024], accept[29], key[61];
  if (sse) {
    int size = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                               "Transfer-Encoding: chunked\r\n\r\n");
    put(it, answer, (size_t)size);
    listens(it);
    return;
  }
  const char *found = strcasestr(request, "Sec-WebSocket-Key: ");
  if (!found || sscanf(found + 19, "%60[^\r]", key) != 1) {
    drop(it);
    return;
  }
  websocket_accept(key, accept);
  int size = snprintf(answer, sizeof answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                             "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
  size_t all = (size_t)size + text_frame((uint8_t *)answer + size, open, sizeof open - 1);
  put(it, answer, all);
  it->stage = OPENED;
}

static void hear(peer *it) {
  static char request[REQUEST];
  ssize_t got = recv(it->fd, request, sizeof request - 1, 0);
  if (got <= 0) {
    if (got == 0 || errno != EAGAIN) drop(it);
    return;
  }
  request[got] = 0;
  if (it->stage == NEW) {
    handshake(it, request);
  } else if (it->stage == OPENED) {
    static const char joined[] = "40{\"sid\":\"abcd\"}";
    uint8_t answer[64];
    put(it, answer, text_frame(answer, joined, sizeof joined - 1));
    listens(it);
  }
}

/* -- publishing ------------------------------------------------------------------------------------------------ */
static size_t framed(uint8_t *into, const char *json, size_t size) {
  char text[LINE + 100];
  if (size > LINE) return 0;
  if (!sse) {
    int length = snprintf(text, sizeof text, "42[\"notification\",%.*s]", (int)size, json);
    return text_frame(into, text, (size_t)length);
  }
  int length = snprintf(text, sizeof text, "event: notification\ndata: %.*s\n\n", (int)size, json);
  return (size_t)sprintf((char *)into, "%x\r\n%s\r\n", (unsigned)length, text);
}

static void to_everybody(const uint8_t *data, size_t size) {
  for (int i = 0; i < listening_count; i++) put(listening[i], data, size);
}

/* Returns 0 when the publisher has gone. */
static int hear_publisher(int fd) {
  static char lines[LINES];
  static size_t have;
  static uint8_t frames[FRAMES];
  ssize_t got = recv(fd, lines + have, sizeof lines - have, 0);
  if (got <= 0) {
    have = 0;
    return 0;
  }
  have += (size_t)got;
  char *begin = lines, *end;
  size_t size = 0;
  while ((end = memchr(begin, '\n', have - (size_t)(begin - lines)))) {
    char *json = memchr(begin, ' ', (size_t)(end - begin));
    if (json) size += framed(frames + size, json + 1, (size_t)(end - json) - 1);
    if (size > sizeof frames / 2) {
      to_everybody(frames, size);
      size = 0;
    }
    begin = end + 1;
  }
  if (size) to_everybody(frames, size);
  have -= (size_t)(begin - lines);
  memmove(lines, begin, have);
  return 1;
}

/* -- the loop -------------------------------------------------------------------------------------------------- */
static int listen_on(int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096)) {
    perror("listen");
    exit(1);
  }
  watch(fd, EPOLLIN, EPOLL_CTL_ADD);
  return fd;
}

static int accept_from(int fd) {
  int one = 1, found = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
  if (found < 0) return -1;
  if (found >= MOST) {
    close(found);
    return -1;
  }
  setsockopt(found, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  watch(found, EPOLLIN, EPOLL_CTL_ADD);
  return found;
}

int main(int count, char **words) {
  if (count < 3) return 2;
  sse = count > 3 && !strcmp(words[3], "sse");
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);
  epoll_fd = epoll_create1(0);
  int door = listen_on(atoi(words[1])), control = listen_on(atoi(words[2])), publisher = -1;
  static struct epoll_event events[EVENTS];
  for (;;) {
    int ready = epoll_wait(epoll_fd, events, EVENTS, -1);
    for (int i = 0, fd; i < ready; i++) {
      if ((fd = events[i].data.fd) == door) {
        for (int found; (found = accept_from(door)) >= 0;) {
          peers[found] = calloc(1, sizeof(peer));
          peers[found]->fd = found;
        }
      } else if (fd == control) {
        if (publisher >= 0) close(publisher);
        publisher = accept_from(control);
      } else if (fd == publisher) {
        if (!hear_publisher(fd)) {
          close(fd);
          publisher = -1;
        }
      } else if (peers[fd]) {
        if (events[i].events & EPOLLOUT) put_waiting(peers[fd]);
        if (events[i].events & ~(uint32_t)EPOLLOUT) hear(peers[fd]);
      }
    }
  }
}
