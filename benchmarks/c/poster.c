/* poster: HTTP POST in a closed loop, as many requests under way as there are connections; prints one line of JSON.
 *
 *   poster PORT PATH CONNECTIONS WARM SECONDS ITEMS PIDS HEADERS BODY
 *
 * In HEADERS and BODY %n becomes the number of the request, so that every one has a key of its own. In BODY what
 * stands between "%[" and "%]" is written ITEMS times, with commas (for a batch; ITEMS is 1 otherwise), %i is the
 * number of the item, and %u one of 1000 users. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include "clock.h"
#include "histogram.h"
#include "http.h"
#include "process.h"

enum { MOST = 256, BODY = 4 << 20, EVENTS = 256 };
static exchange exchanges[MOST];
static const char *path, *headers, *pattern;
static uint64_t number, item, items;
static char body[BODY], request[BODY + 4096], head[4096], answer[ANSWER_BYTES];

static char *filled(char *at, const char *from, const char *to) {
  for (const char *p = from; p < to; p++) {
    if (*p == '%' && p + 1 < to && p[1] == 'n') at += sprintf(at, "%lu", number), p++;
    else if (*p == '%' && p + 1 < to && p[1] == 'i') at += sprintf(at, "%lu", item), p++;
    else if (*p == '%' && p + 1 < to && p[1] == 'u') at += sprintf(at, "%lu", item % 1000), p++;
    else *at++ = *p;
  }
  *at = 0;
  return at;
}

static size_t make_body(void) {
  const char *all = pattern + strlen(pattern), *from = strstr(pattern, "%["), *to = strstr(pattern, "%]");
  if (!from || !to) {
    item++;
    return (size_t)(filled(body, pattern, all) - body);
  }
  char *at = filled(body, pattern, from);
  for (uint64_t i = 0; i < items; i++, item++) {
    if (i) *at++ = ',';
    at = filled(at, from + 2, to);
  }
  return (size_t)(filled(at, to + 2, all) - body);
}

static void send_next(exchange *it) {
  number++;
  size_t size = make_body();
  filled(head, headers, headers + strlen(headers));
  int whole = snprintf(request, sizeof request,
                       "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n%s\r\n"
                       "Content-Length: %zu\r\n\r\n%s", path, head, size, body);
  it->sent_at = now_ns();
  write_whole(it->fd, request, (size_t)whole);
}

int main(int count, char **words) {
  static histogram latency;
  if (count != 10) return 2;
  int port = atoi(words[1]), connections = atoi(words[3]);
  double warm = atof(words[4]), seconds = atof(words[5]);
  path = words[2];
  items = strtoul(words[6], NULL, 10);
  processes_watch(words[7]);
  headers = words[8];
  pattern = words[9];
  if (connections > MOST || strlen(pattern) * items > BODY / 2) return 2;
  int epoll_fd = epoll_create1(0);
  number = item = now_ns() / 1000; /* keys that no earlier run has used */
  for (int i = 0; i < connections; i++) {
    exchanges[i] = (exchange){.fd = http_connect(port)};
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)i};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, exchanges[i].fd, &event);
    send_next(&exchanges[i]);
  }
  uint64_t begin = now_ns(), from = begin + seconds_ns(warm), end = from + seconds_ns(seconds), accepted = 0, refused = 0;
  usage server = {0, 0}, own = {0, 0};
  int measuring = 0;
  while (now_ns() < end) {
    static struct epoll_event events[EVENTS];
    int ready = epoll_wait(epoll_fd, events, EVENTS, 10);
    uint64_t now = now_ns();
    if (!measuring && now >= from) {
      measuring = 1;
      from = now;
      server = processes_usage();
      own = own_usage();
    }
    for (int i = 0; i < ready; i++) {
      exchange *it = &exchanges[events[i].data.u64];
      int status = exchange_read(it, answer);
      if (status < 0) {
        fprintf(stderr, "the server closed a connection\n");
        return 1;
      }
      if (status == 0) continue;
      int good = status / 100 == 2 && status != 207; /* 207: some items of a batch were refused */
      if (!good && !refused++) fprintf(stderr, "answered %.400s\n", answer);
      if (measuring && it->sent_at >= from) {
        accepted += (uint64_t)good;
        histogram_add(&latency, now - it->sent_at);
      }
      send_next(it);
    }
  }
  double took = (double)(now_ns() - from) / 1e9;
  usage server_end = processes_usage(), own_end = own_usage();
  printf("{\"requests\":%lu,\"refused\":%lu,\"per_second\":%.1f,\"items_per_second\":%.0f,\"p50_ms\":%.3f,"
         "\"p99_ms\":%.3f,\"server_us_each\":%.1f,\"server_cpu_percent\":%.0f,\"generator_cpu_percent\":%.0f}\n",
         accepted, refused, (double)accepted / took, (double)accepted * (double)items / took,
         histogram_ms(&latency, .5), histogram_ms(&latency, .99),
         accepted ? (double)(server_end.cpu_us - server.cpu_us) / (double)(accepted * items) : 0,
         (double)(server_end.cpu_us - server.cpu_us) / 1e4 / took, (double)(own_end.cpu_us - own.cpu_us) / 1e4 / took);
  return 0;
}
