#define _GNU_SOURCE
#include "http.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void fail(const char *what) {
  perror(what);
  exit(1);
}

int http_connect(int port) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) fail("connect to publish");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

void write_whole(int fd, const char *data, size_t size) {
  while (size) {
    ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
    if (sent > 0) {
      data += sent;
      size -= (size_t)sent;
    } else if (errno == EAGAIN) {
      struct pollfd room = {.fd = fd, .events = POLLOUT};
      poll(&room, 1, 100);
    } else {
      fail("publish");
    }
  }
}

/* The size of the body that a head announces. */
static size_t announced(const char *head, size_t size) {
  char text[4096];
  if (size >= sizeof text) size = sizeof text - 1;
  memcpy(text, head, size);
  text[size] = 0;
  char *found = strcasestr(text, "\r\ncontent-length:");
  return found ? strtoul(found + 17, NULL, 10) : 0;
}

int exchange_read(exchange *it, char *buffer) {
  /* Of an answer only the head is looked at; it is small enough to come in one piece on the loopback. */
  ssize_t got = recv(it->fd, buffer, ANSWER_BYTES, 0);
  if (got == 0) return -1;
  if (got < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
  size_t size = (size_t)got;
  if (!it->skip) {
    char *end = memmem(buffer, size, "\r\n\r\n", 4);
    if (!end || size < 12) return -1;
    it->status = atoi(buffer + 9);
    size_t head = (size_t)(end - buffer) + 4;
    it->skip = announced(buffer, head);
    size -= head;
  }
  if (size > it->skip) return -1; /* more than was asked for */
  it->skip -= size;
  return it->skip ? 0 : it->status;
}
