/* From bytes to events: WebSocket frames, Engine.IO and Socket.IO packets, EventSource lines. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "clock.h"
#include "receivers.h"

enum { NUMBERS = 1 << 14 }; /* events whose receivers are counted at the same time */
static uint32_t receivers_of[NUMBERS];

static uint64_t number_after(const uint8_t *at, const uint8_t *end) {
  uint64_t value = 0;
  while (at < end && *at == ' ') at++;
  while (at < end && *at >= '0' && *at <= '9') value = value * 10 + (uint64_t)(*at++ - '0');
  return value;
}

static void on_event(receiver *it, const uint8_t *data, size_t size) {
  const uint8_t *end = data + size;
  const uint8_t *ts = memmem(data, size, "\"ts\":", 5);
  if (!ts) { /* not one of ours */
    if (it->stage == GREETED && memmem(data, size, options.greeting, strlen(options.greeting)))
      receiver_is_ready(it);
    return;
  }
  uint64_t now = now_ns(), published = number_after(ts + 5, end);
  const uint8_t *n = memmem(ts, (size_t)(end - ts), "\"n\":", 4);
  if (!n) n = memmem(data, size, "\"n\":", 4);
  uint32_t number = n ? (uint32_t)number_after(n + 4, end) : 0;
  state.delivered++;
  it->events++;
  if (it->last && number != it->last + (uint32_t)options.step && !options.unordered) state.gaps++;
  it->last = number;
  int everyone = ++receivers_of[number % NUMBERS] == (uint32_t)state.ready;
  if (everyone) receivers_of[number % NUMBERS] = 0;
  if (state.measured_from && published >= state.measured_from) {
    uint64_t took = now > published ? now - published : 0;
    histogram_add(&state.latency, took);
    if (everyone) histogram_add(&state.last, took);
  }
  if (options.expected && it->events == (uint32_t)options.expected) {
    state.complete++;
    histogram_add(&state.completion, now - it->opened_at);
  }
}

static void say_connect(receiver *it) {
  char packet[9000] = "40";
  size_t size = 2;
  if (options.auth) size += with_token(packet + 2, sizeof packet - 2, options.auth, receiver_token(it));
  it->stage = JOINING;
  receiver_send_text(it, packet, size);
}

static void on_packet(receiver *it, const uint8_t *data, size_t size) {
  if (!size) return;
  if (data[0] == '2') {
    state.pings++;
    receiver_send_text(it, "3", 1);
  } else if (data[0] == '0') {
    say_connect(it);
  } else if (data[0] == '4' && size > 1 && data[1] == '2') {
    on_event(it, data, size);
  } else if (data[0] == '4' && size > 1 && data[1] == '0' && it->stage == JOINING) {
    if (options.greeting) it->stage = GREETED;
    else receiver_is_ready(it);
  } else if (data[0] == '4' && size > 1 && data[1] == '4') {
    if (!state.errors++) fprintf(stderr, "refused: %.*s\n", (int)(size < 300 ? size : 300), data);
    receiver_kill(it);
  }
}

static void answer_ping(receiver *it, const uint8_t *data, size_t size) {
  uint8_t frame[6 + 125] = {0x8a, (uint8_t)(0x80 | size)}; /* masked with zeros */
  memcpy(frame + 6, data, size);
  if (send(it->fd, frame, 6 + size, MSG_NOSIGNAL) < 0) receiver_kill(it);
  state.pings++;
}

size_t parse_websocket(receiver *it, uint8_t *data, size_t size) {
  size_t used = 0;
  while (size - used >= 2 && it->stage != DEAD) {
    uint8_t *frame = data + used;
    int op = frame[0] & 15;
    uint64_t length = frame[1] & 127;
    size_t head = 2;
    if (length == 126) {
      if (size - used < 4) break;
      length = (uint64_t)frame[2] << 8 | frame[3];
      head = 4;
    } else if (length == 127) {
      if (size - used < 10) break;
      length = 0;
      for (int i = 2; i < 10; i++) length = length << 8 | frame[i];
      head = 10;
    }
    if (size - used < head + length) break;
    if (frame[0] & 0x70 || frame[1] & 0x80) { /* compressed or masked: not what is measured here */
      fprintf(stderr, "unexpected WebSocket frame %02x %02x\n", frame[0], frame[1]);
      exit(1);
    }
    if (op == 1 || op == 2) {
      if (options.protocol == SOCKETIO) on_packet(it, frame + head, length);
      else on_event(it, frame + head, length);
    } else if (op == 8) {
      receiver_kill(it);
    } else if (op == 9 && length <= 125) {
      answer_ping(it, frame + head, length);
    }
    used += head + length;
  }
  return used;
}

size_t parse_sse(receiver *it, uint8_t *data, size_t size) {
  size_t used = 0;
  uint8_t *end;
  /* Chunk sizes stand on lines of their own, so lines are all that is needed. */
  while ((end = memchr(data + used, '\n', size - used))) {
    size_t length = (size_t)(end - (data + used));
    int greeting = it->stage == GREETED && length > 6 && !memcmp(data + used, "event:", 6);
    if (greeting || (length > 5 && !memcmp(data + used, "data:", 5))) on_event(it, data + used, length);
    used += length + 1;
  }
  return used;
}
