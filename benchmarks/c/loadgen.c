/* loadgen: holds thousands of Socket.IO, WebSocket or SSE connections to one server in one thread, publishes, and
 * counts what arrives. Obeys commands on stdin, one a line, and answers each with one line of JSON:
 *
 *   connect                          open all connections again (after close)
 *   idle SECONDS                     only answer pings
 *   flood WINDOW BURST WARM SECONDS  closed loop: WINDOW bursts of BURST publishes under way; the next one goes when
 *                                    somebody has the last event of the oldest
 *   pace RATE WARM SECONDS           open loop: RATE publishes a second, whether or not the server keeps up
 *   complete SECONDS                 wait until every connection has its --expect events, SECONDS at most
 *   close                            close all connections
 *
 * It begins with a `connect`. Ends with its stdin. The options are listed in `read_options`. */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>
#include "clock.h"
#include "process.h"
#include "publisher.h"
#include "receivers.h"

enum { EVENTS = 1024, AT_ONCE = 512 };
static const uint64_t PUBLISHERS = 1ull << 32, COMMANDS = 1ull << 33;
static const double CONNECT_SECONDS = 120, DRAIN_SECONDS = 8;
static const char *DEFAULT_BODY =
    "{\"ts\":%t,\"n\":%n,\"type\":\"notification\",\"id\":\"9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d\","
    "\"title\":\"Order shipped\",\"priority\":2,\"read\":false,\"body\":\"%f\"}";
static int epoll_fd, commands_ready;
static int targeted;
static publisher_options publishing = {.size = 300};
static usage before;

static void pump(int timeout_ms) {
  static struct epoll_event events[EVENTS];
  int count = epoll_wait(epoll_fd, events, EVENTS, timeout_ms);
  for (int i = 0; i < count; i++) {
    uint64_t id = events[i].data.u64;
    if (id == COMMANDS) commands_ready = 1;
    else if (id >= PUBLISHERS) publisher_ready_event((int)(id - PUBLISHERS));
    else receivers_ready_event(&receivers[id]);
  }
}

static void open_all(void) {
  before = processes_usage();
  uint64_t started = now_ns(), latest = started + seconds_ns(CONNECT_SECONDS);
  while (state.ready + state.dead < options.count && now_ns() < latest) {
    receivers_open_more();
    pump(100);
  }
  double seconds = (double)(now_ns() - started) / 1e9;
  usage after = processes_usage();
  printf("{\"connections\":%d,\"dead\":%d,\"seconds\":%.3f,\"per_second\":%.0f,\"server_us_each\":%.1f}\n",
         state.ready, options.count - state.ready, seconds, state.ready / seconds,
         state.ready ? (double)(after.cpu_us - before.cpu_us) / state.ready : 0);
}

static void idle(double seconds) {
  uint64_t end = now_ns() + seconds_ns(seconds);
  usage first = processes_usage();
  while (now_ns() < end) pump(20);
  usage last = processes_usage();
  printf("{\"connections\":%d,\"rss_kb\":%.0f,\"rss_kb_each\":%.2f,\"server_cpu_percent\":%.2f,\"pings\":%lu}\n",
         state.ready, last.rss_kb, state.ready ? (last.rss_kb - before.rss_kb) / state.ready : 0,
         (double)(last.cpu_us - first.cpu_us) / 1e4 / seconds, state.pings);
}

static void complete(double seconds) {
  uint64_t end = now_ns() + seconds_ns(seconds);
  while (state.complete < options.count && now_ns() < end) pump(20);
  printf("{\"complete\":%d,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"gaps\":%lu}\n", state.complete,
         histogram_ms(&state.completion, .5), histogram_ms(&state.completion, .99), state.gaps);
}

/* Publishes for a while, in a closed loop (`window` bursts under way) or at `rate` a second, and says what
 * arrived. At a rate the time of publishing is when it was due, so a server that is late cannot hide it. */
static void measure(int window, int burst, double rate, double warm, double seconds) {
  uint64_t begin = now_ns(), from = begin + seconds_ns(warm), end = from + seconds_ns(seconds), steps = 0;
  uint64_t fan = targeted ? 1 : (uint64_t)state.ready, sent_before = published, got_before = state.delivered;
  uint64_t gaps = state.gaps, refusals = refused, measured_from = 0, published_then = 0, delivered_then = 0;
  uint64_t under_way = window ? (uint64_t)((window - 1) * burst + 1) * fan : 0;
  usage server = {0, 0}, own = {0, 0};
  int dead = state.dead;
  histogram_clear(&state.latency);
  histogram_clear(&state.last);
  for (uint64_t now; (now = now_ns()) < end;) {
    if (!measured_from && now >= from) {
      state.measured_from = measured_from = now;
      published_then = published;
      delivered_then = state.delivered;
      server = processes_usage();
      own = own_usage();
    }
    uint64_t sent = published - sent_before, got = state.delivered - got_before;
    if (window) {
      for (int i = 0; i < AT_ONCE && sent * fan < got + under_way; i += burst) {
        for (int b = 0; b < burst && publish(now_ns()); b++);
        if (published - sent_before == sent) break;
        sent = published - sent_before;
      }
      pump(1);
    } else {
      uint64_t due = begin + (uint64_t)((double)steps * 1e9 / rate);
      if (now >= due) steps += (uint64_t)publish(due);
      pump(due > now + 2000000 ? 1 : 0);
    }
    if (state.ready < options.count / 2) break;
  }
  double took = (double)(now_ns() - measured_from) / 1e9;
  uint64_t arrived = state.delivered - delivered_then, sent = published - published_then;
  usage server_end = processes_usage(), own_end = own_usage();
  uint64_t drained = now_ns() + seconds_ns(DRAIN_SECONDS);
  while (state.delivered - got_before < (published - sent_before) * fan && now_ns() < drained) pump(10);
  state.measured_from = 0;
  printf("{\"published\":%lu,\"delivered\":%lu,\"per_second\":%.0f,\"published_per_second\":%.1f,\"lost\":%ld,"
         "\"gaps\":%lu,\"refused\":%lu,\"dead\":%d,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"most_ms\":%.3f,"
         "\"last_p50_ms\":%.3f,\"last_p99_ms\":%.3f,\"server_cpu_percent\":%.0f,\"server_us_each\":%.2f,"
         "\"generator_cpu_percent\":%.0f}\n",
         sent, arrived, (double)arrived / took, (double)sent / took,
         (long)((published - sent_before) * fan) - (long)(state.delivered - got_before), state.gaps - gaps,
         refused - refusals, state.dead - dead, histogram_ms(&state.latency, .5), histogram_ms(&state.latency, .99),
         (double)state.latency.most / 1e6, histogram_ms(&state.last, .5), histogram_ms(&state.last, .99),
         (double)(server_end.cpu_us - server.cpu_us) / 1e4 / took,
         arrived ? (double)(server_end.cpu_us - server.cpu_us) / (double)arrived : 0,
         (double)(own_end.cpu_us - own.cpu_us) / 1e4 / took);
}

static void obey(const char *line) {
  double a, warm, seconds;
  int burst;
  if (sscanf(line, "idle %lf", &seconds) == 1) idle(seconds);
  else if (sscanf(line, "complete %lf", &seconds) == 1) complete(seconds);
  else if (sscanf(line, "flood %lf %d %lf %lf", &a, &burst, &warm, &seconds) == 4)
    measure((int)a, burst, 0, warm, seconds);
  else if (sscanf(line, "pace %lf %lf %lf", &a, &warm, &seconds) == 3)
    measure(0, 1, a, warm, seconds);
  else if (!strncmp(line, "connect", 7)) open_all();
  else if (!strncmp(line, "close", 5)) {
    receivers_close_all();
    printf("{}\n");
  } else {
    fprintf(stderr, "unknown command: %s", line);
    exit(1);
  }
}

static void read_tokens(const char *name) {
  FILE *file = fopen(name, "r");
  char *line = NULL;
  size_t room = 0;
  if (!file) {
    perror(name);
    exit(1);
  }
  for (ssize_t size; (size = getline(&line, &room, file)) > 0;) {
    line[strcspn(line, "\r\n")] = 0;
    options.tokens = realloc(options.tokens, ((size_t)options.token_count + 1) * sizeof(char *));
    options.tokens[options.token_count++] = strdup(line);
  }
  free(line);
  fclose(file);
}

static void read_ports(const char *list) {
  int most = (int)(sizeof options.ports / sizeof *options.ports);
  for (const char *p = list; p && options.port_count < most; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
    options.ports[options.port_count++] = atoi(p);
}

static void read_options(int count, char **words) {
  static const struct option known[] = {
      {"protocol", 1, 0, 'm'}, /* socketio, websocket or sse */
      {"port", 1, 0, 'p'}, /* or several, with commas */
      {"path", 1, 0, 'P'},
      {"header", 1, 0, 'H'},   /* of every connection's request */
      {"auth", 1, 0, 'a'},     /* what Socket.IO's CONNECT carries, JSON */
      {"tokens", 1, 0, 't'},   /* a file, one a line; %T in path, header and auth is the connection's own */
      {"greeting", 1, 0, 'g'}, /* a connection is ready when an event with this text has come */
      {"connections", 1, 0, 'c'}, {"in-flight", 1, 0, 'i'}, /* handshakes under way */
      {"expect", 1, 0, 'x'},   /* events after which a connection is complete */
      {"unordered", 0, 0, 'u'}, /* publishes may overtake each other: no look for gaps */
      {"targeted", 0, 0, 'T'}, /* each event is for one connection: the room's %c */
      {"pids", 1, 0, 'k'},     /* processes whose CPU and memory count as the server's */
      {"line-port", 1, 0, 'l'}, {"room", 1, 0, 'r'}, /* publish "<room> <json>" lines there */
      {"post-port", 1, 0, 'o'}, {"post-path", 1, 0, 'O'}, {"post-header", 1, 0, 'h'},
      {"post-connections", 1, 0, 'C'}, {"body", 1, 0, 'b'}, {"size", 1, 0, 'z'}, /* bytes of a body with %f */
      {0, 0, 0, 0}};
  options = (receivers_options){.protocol = SOCKETIO, .count = 100, .in_flight = 64, .sources = 4, .step = 1,
                                .path = "/socket.io/?EIO=4&transport=websocket"};
  publishing.body = DEFAULT_BODY;
  publishing.path = "/";
  publishing.room = "r";
  for (int option; (option = getopt_long(count, words, "", known, NULL)) != -1;) switch (option) {
      case 'm': options.protocol = !strcmp(optarg, "sse") ? SSE : !strcmp(optarg, "websocket") ? WEBSOCKET : SOCKETIO; break;
      case 'p': read_ports(optarg); break;
      case 'P': options.path = optarg; break;
      case 'H': options.headers = optarg; break;
      case 'a': options.auth = optarg; break;
      case 't': read_tokens(optarg); break;
      case 'g': options.greeting = optarg; break;
      case 'c': options.count = atoi(optarg); break;
      case 'i': options.in_flight = atoi(optarg); break;
      case 'x': options.expected = atoi(optarg); break;
      case 'u': options.unordered = 1; break;
      case 'T': targeted = 1; break;
      case 'k': processes_watch(optarg); break;
      case 'l': publishing.port = atoi(optarg); break;
      case 'r': publishing.room = optarg; break;
      case 'o': publishing.port = atoi(optarg); if (!publishing.http_connections) publishing.http_connections = 16; break;
      case 'O': publishing.path = optarg; break;
      case 'h': publishing.headers = optarg; break;
      case 'C': publishing.http_connections = atoi(optarg); break;
      case 'b': publishing.body = optarg; break;
      case 'z': publishing.size = atoi(optarg); break;
      default: exit(2);
    }
  publishing.connections = options.count;
  if (targeted) options.step = options.count;
}

int main(int count, char **words) {
  read_options(count, words);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);
  setvbuf(stdout, NULL, _IOLBF, 0);
  epoll_fd = epoll_create1(0);
  receivers_prepare(epoll_fd);
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = COMMANDS};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &event);
  open_all();
  if (publishing.port) publisher_open(&publishing, epoll_fd, PUBLISHERS);
  /* One command at a time: the next is sent when the last was answered, so none hides in stdio's buffer. */
  for (char line[256];;) {
    commands_ready = 0;
    while (!commands_ready) pump(1000);
    if (!fgets(line, sizeof line, stdin)) return 0;
    obey(line);
  }
}
