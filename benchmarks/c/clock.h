/* The one clock: monotonic nanoseconds. Publisher and receivers share it, so latencies need no synchronising. */
#ifndef CLOCK_H
#define CLOCK_H
#include <stdint.h>
#include <time.h>

static inline uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t seconds_ns(double seconds) { return (uint64_t)(seconds * 1e9); }
#endif
