/* Thousands of connections that receive: opening them, and counting what arrives.
 *
 * A connection is ready when the server has let it in, and has greeted it when a greeting is expected. Events that
 * were published carry "ts" (the time they were published) and "n" (their number); whatever else a server says is
 * ignored. Every connection's numbers are checked for gaps. */
#ifndef RECEIVERS_H
#define RECEIVERS_H
#include <stddef.h>
#include <stdint.h>
#include "histogram.h"

typedef enum { SOCKETIO, WEBSOCKET, SSE } protocol;
typedef enum { CONNECTING, ASKED, OPENED, JOINING, GREETED, READY, DEAD } stage;

typedef struct {
  int fd;
  uint8_t stage;
  uint32_t last;   /* number of the last event */
  uint32_t events; /* since the connection was opened */
  uint64_t opened_at;
  uint32_t kept, capacity; /* the beginning of something whose end has not come yet */
  uint8_t *rest;
} receiver;

typedef struct {
  protocol protocol;
  int ports[16], port_count; /* of the processes that share the connections, by turns */
  int count, in_flight, sources;
  const char *path, *headers, *auth, *greeting; /* %T in path, headers and auth: the connection's token */
  char **tokens;
  int token_count;
  int unordered; /* publishes may overtake each other */
  int step;      /* from one event of a connection to its next: 1, or every connection has events of its own */
  int expected;  /* events after which a connection is complete, for replays; 0: none */
} receivers_options;

typedef struct {
  int ready, dead, started, connecting, complete;
  uint64_t delivered, gaps, errors, pings;
  uint64_t measured_from; /* events published since then are measured; 0: none are */
  histogram latency;      /* of each delivery */
  histogram last;         /* of each event: until everyone had it */
  histogram completion;   /* from opening a connection to its last expected event */
} receivers_state;

extern receivers_options options;
extern receivers_state state;
extern receiver *receivers;

void receivers_prepare(int epoll_fd);
void receivers_open_more(void); /* as many as may be in flight */
void receivers_ready_event(receiver *it);
void receivers_close_all(void);
void receiver_kill(receiver *it);
void receiver_send_text(receiver *it, const char *text, size_t size);
const char *receiver_token(const receiver *it);
size_t with_token(char *into, size_t room, const char *pattern, const char *token);
void receiver_is_ready(receiver *it);

/* parsing.c: each returns how many bytes it has used up. */
size_t parse_websocket(receiver *it, uint8_t *data, size_t size);
size_t parse_sse(receiver *it, uint8_t *data, size_t size);
#endif
