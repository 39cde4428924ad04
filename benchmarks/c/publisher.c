#define _GNU_SOURCE
#include "publisher.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "http.h"

enum { MOST = 64, BODY = 64 << 10 };
uint64_t published, refused;
static publisher_options with;
static int epoll_fd;
static uint64_t first_id;
static exchange exchanges[MOST];
static char answers[ANSWER_BYTES];

static void open_one(int place) {
  exchanges[place] = (exchange){.fd = http_connect(with.port)};
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = first_id + (uint64_t)place};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, exchanges[place].fd, &event);
}

void publisher_open(const publisher_options *given, int epoll, uint64_t first) {
  with = *given;
  epoll_fd = epoll;
  first_id = first;
  if (with.http_connections > MOST) with.http_connections = MOST;
  int count = with.http_connections ? with.http_connections : 1;
  for (int i = 0; i < count; i++) open_one(i);
}

/* `pattern` with its placeholders filled in; without %f when `fill` is negative. Returns its size. */
static size_t filled(char *into, const char *pattern, uint64_t ts, uint64_t number, int fill) {
  char *at = into;
  for (const char *p = pattern; *p; p++) {
    if (*p != '%') *at++ = *p;
    else if (*++p == 't') at += sprintf(at, "%lu", ts);
    else if (*p == 'n') at += sprintf(at, "%lu", number);
    else if (*p == 'c') at += sprintf(at, "%lu", number % (uint64_t)with.connections);
    else if (*p == 'f')
      for (int i = 0; i < fill; i++) *at++ = i % 7 ? 'x' : ' ';
  }
  *at = 0;
  return (size_t)(at - into);
}

int publish(uint64_t ts) {
  static char body[BODY], message[BODY + 4096], headers[2048], room[256];
  int place = 0;
  while (with.http_connections && place < with.http_connections && exchanges[place].sent_at) place++;
  if (with.http_connections && place == with.http_connections) return 0;
  uint64_t number = published + 1;
  size_t size = filled(body, with.body, ts, number, -1);
  size = filled(body, with.body, ts, number, with.size - (int)size);
  int whole;
  if (!with.http_connections) {
    filled(room, with.room, ts, number, -1);
    whole = snprintf(message, sizeof message, "%s %s\n", room, body);
  } else {
    filled(headers, with.headers ? with.headers : "", ts, number, -1);
    whole = snprintf(message, sizeof message,
                     "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n%s%s"
                     "Content-Length: %zu\r\n\r\n%s",
                     with.path, headers, headers[0] ? "\r\n" : "", size, body);
    exchanges[place].sent_at = ts;
  }
  write_whole(exchanges[place].fd, message, (size_t)whole);
  published++;
  return 1;
}

void publisher_ready_event(int place) {
  exchange *it = &exchanges[place];
  int status = exchange_read(it, answers);
  if (status < 0 && with.http_connections && !it->sent_at) { /* idle for too long for the server's taste */
    close(it->fd);
    open_one(place);
    return;
  }
  if (status < 0) {
    fprintf(stderr, "the server closed a publishing connection\n");
    exit(1);
  }
  if (status == 0) return;
  it->sent_at = 0;
  if (status / 100 != 2 && !refused++) fprintf(stderr, "publishing was answered %.300s\n", answers);
}
