/* What the measured processes have used: CPU time and resident memory, from /proc. */
#ifndef PROCESS_H
#define PROCESS_H
#include <stdint.h>

typedef struct {
  uint64_t cpu_us; /* user and system, of all of them, so far */
  double rss_kb;
} usage;

void processes_watch(const char *comma_separated_pids);
usage processes_usage(void);
usage own_usage(void);
#endif
