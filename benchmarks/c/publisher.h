/* Publishing, from the same thread and clock that count the deliveries.
 *
 * To a line port ("<room> <json>\n"), or by HTTP POST over keep-alive connections. In the body %t becomes the time,
 * %n the number of the event, %f as many letters as it takes to make it `size` bytes. In the room %c becomes the
 * number of a connection, one after the other. */
#ifndef PUBLISHER_H
#define PUBLISHER_H
#include <stdint.h>

typedef struct {
  int port, http_connections; /* 0 connections: a line port */
  const char *room;           /* for a line port */
  int connections;
  const char *path, *headers; /* for HTTP; %n in headers: the number of the event */
  const char *body;
  int size;
} publisher_options;

extern uint64_t published, refused;

void publisher_open(const publisher_options *with, int epoll_fd, uint64_t first_id);
/* False when every HTTP connection still waits for its answer. */
int publish(uint64_t ts);
void publisher_ready_event(int place);
#endif
