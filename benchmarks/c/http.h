/* Answers on keep-alive HTTP/1.1 connections: where one ends, and its status. Needs Content-Length, or no body. */
#ifndef HTTP_H
#define HTTP_H
#include <stddef.h>
#include <stdint.h>

enum { ANSWER_BYTES = 256 << 10 };

typedef struct {
  int fd;
  uint64_t sent_at; /* of the request under way; 0: none is */
  size_t skip; /* bytes of the body still to come, of an answer whose head was read */
  int status;
} exchange;

/* A TCP connection to 127.0.0.1 that does not block; ends the program when nobody listens. */
int http_connect(int port);
void write_whole(int fd, const char *data, size_t size);
/* Reads what has come. Returns the status when an answer is complete, 0 when it is not yet, -1 when the peer went. */
int exchange_read(exchange *it, char *buffer);
#endif
