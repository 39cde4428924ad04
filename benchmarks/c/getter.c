/* getter: HTTP GET at a fixed rate, whether or not the server keeps up; prints one line of JSON.
 *
 *   getter PORT PATH RATE CONNECTIONS WARM SECONDS PIDS TOKENS
 *
 * TOKENS is a file with one on each line; they take turns. A request that finds no connection free waits for one,
 * and its time counts from when it was due. With an ETag in the environment (IF_NONE_MATCH=1) each token sends the
 * one it was told last. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include "clock.h"
#include "histogram.h"
#include "http.h"
#include "process.h"

enum { MOST = 256, EVENTS = 256, TOKENS = 4096, TOKEN_BYTES = 1024, TAG_BYTES = 64 };
typedef struct {
  exchange http;
  uint64_t due;
  int token;
} line;
static line lines[MOST];
static int idle[MOST], idle_count;
static char tokens[TOKENS][TOKEN_BYTES], tags[TOKENS][TAG_BYTES], answer[ANSWER_BYTES];
static int token_count, conditional;
static const char *path;

static void read_tokens(const char *name) {
  FILE *file = fopen(name, "r");
  if (!file) {
    perror(name);
    exit(1);
  }
  while (token_count < TOKENS && fgets(tokens[token_count], TOKEN_BYTES, file)) {
    tokens[token_count][strcspn(tokens[token_count], "\n")] = 0;
    token_count++;
  }
  fclose(file);
}

static void ask(line *it, uint64_t due, uint64_t number) {
  static char request[TOKEN_BYTES + 1024];
  it->due = due;
  it->token = (int)(number % (uint64_t)token_count);
  int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n", path,
                      tokens[it->token]);
  if (conditional && tags[it->token][0])
    size += snprintf(request + size, sizeof request - (size_t)size, "If-None-Match: %s\r\n", tags[it->token]);
  size += snprintf(request + size, sizeof request - (size_t)size, "\r\n");
  write_whole(it->http.fd, request, (size_t)size);
}

static void keep_tag(int token) {
  char *found = strcasestr(answer, "\r\netag: ");
  if (!found) return;
  found += 8;
  size_t size = strcspn(found, "\r");
  if (size < TAG_BYTES) memcpy(tags[token], found, size), tags[token][size] = 0;
}

int main(int count, char **words) {
  static histogram latency;
  if (count != 9) return 2;
  int port = atoi(words[1]), connections = atoi(words[4]);
  double rate = atof(words[3]), warm = atof(words[5]), seconds = atof(words[6]);
  path = words[2];
  processes_watch(words[7]);
  read_tokens(words[8]);
  conditional = getenv("IF_NONE_MATCH") != NULL;
  if (connections > MOST || !token_count) return 2;
  int epoll_fd = epoll_create1(0);
  for (int i = 0; i < connections; i++) {
    lines[i].http = (exchange){.fd = http_connect(port)};
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)i};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, lines[i].http.fd, &event);
    idle[idle_count++] = i;
  }
  uint64_t begin = now_ns(), from = begin + seconds_ns(warm), end = from + seconds_ns(seconds), sent = 0;
  uint64_t answered = 0, refused = 0, known = 0;
  usage server = {0, 0}, own = {0, 0};
  int measuring = 0;
  for (uint64_t now = begin; now < end; now = now_ns()) {
    static struct epoll_event events[EVENTS];
    uint64_t due = begin + (uint64_t)((double)sent * 1e9 / rate);
    for (; due <= now && idle_count; due = begin + (uint64_t)((double)sent * 1e9 / rate)) {
      ask(&lines[idle[--idle_count]], due, sent);
      sent++;
    }
    /* Up to a millisecond early it looks without sleeping, so that a request leaves when it is due. */
    int wait = !idle_count ? 10 : due > now ? (int)((due - now) / 1000000) : 0;
    int ready = epoll_wait(epoll_fd, events, EVENTS, wait);
    now = now_ns();
    if (!measuring && now >= from) {
      measuring = 1;
      from = now;
      server = processes_usage();
      own = own_usage();
    }
    for (int i = 0; i < ready; i++) {
      int at = (int)events[i].data.u64;
      line *it = &lines[at];
      int status = exchange_read(&it->http, answer);
      if (status < 0) {
        fprintf(stderr, "the server closed a connection\n");
        return 1;
      }
      if (status == 0) continue;
      if (status != 200 && status != 304 && !refused++) fprintf(stderr, "answered %.400s\n", answer);
      if (conditional && status == 200) keep_tag(it->token);
      if (measuring && it->due >= from) {
        answered++;
        known += status == 304;
        histogram_add(&latency, now - it->due);
      }
      idle[idle_count++] = at;
    }
  }
  double took = (double)(now_ns() - from) / 1e9;
  usage server_end = processes_usage(), own_end = own_usage();
  printf("{\"requests\":%lu,\"refused\":%lu,\"not_modified\":%lu,\"per_second\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
         "\"server_us_each\":%.1f,\"server_cpu_percent\":%.0f,\"generator_cpu_percent\":%.0f}\n",
         answered, refused, known, (double)answered / took, histogram_ms(&latency, .5), histogram_ms(&latency, .99),
         answered ? (double)(server_end.cpu_us - server.cpu_us) / (double)answered : 0,
         (double)(server_end.cpu_us - server.cpu_us) / 1e4 / took, (double)(own_end.cpu_us - own.cpu_us) / 1e4 / took);
  return 0;
}
