/* A histogram of durations in nanoseconds, log-linear: 64 steps for each power of two, so 1.6 % exact. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H
#include <stdint.h>
#include <string.h>

enum { STEPS = 64, STEP_BITS = 6 };

typedef struct {
  uint64_t buckets[(64 - STEP_BITS + 1) * STEPS];
  uint64_t count, most;
} histogram;

static inline void histogram_clear(histogram *h) { memset(h, 0, sizeof *h); }

static inline void histogram_add(histogram *h, uint64_t value) {
  uint64_t place = value;
  if (value >= STEPS) {
    int power = 63 - __builtin_clzll(value);
    place = (uint64_t)(power - STEP_BITS + 1) * STEPS + ((value >> (power - STEP_BITS)) & (STEPS - 1));
  }
  h->buckets[place]++;
  h->count++;
  if (value > h->most) h->most = value;
}

/* The duration in milliseconds that `share` (0 to 1) of all do not exceed. */
static inline double histogram_ms(const histogram *h, double share) {
  uint64_t wanted = (uint64_t)(share * (double)h->count), seen = 0;
  for (uint64_t i = 0; i < sizeof h->buckets / sizeof h->buckets[0]; i++) {
    seen += h->buckets[i];
    if (seen <= wanted) continue;
    if (i < STEPS) return (double)i / 1e6;
    int power = (int)(i / STEPS) + STEP_BITS - 1;
    uint64_t low = (1ull << power) + ((i % STEPS) << (power - STEP_BITS));
    return ((double)low + (double)((1ull << (power - STEP_BITS)) >> 1)) / 1e6;
  }
  return (double)h->most / 1e6;
}
#endif
