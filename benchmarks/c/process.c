#include "process.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 16 };
static int pids[MOST], count;

void processes_watch(const char *list) {
  for (const char *p = list; p && *p && count < MOST; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
    pids[count++] = atoi(p);
}

static usage usage_of(int pid) {
  usage found = {0, 0};
  char name[64], text[1024];
  snprintf(name, sizeof name, "/proc/%d/stat", pid);
  FILE *file = fopen(name, "r");
  if (!file) return found;
  size_t size = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[size] = 0;
  /* proc(5): after the name in parentheses come 11 fields, then utime and stime; 9 later the RSS in pages. */
  char *rest = strrchr(text, ')');
  unsigned long user, system;
  long pages;
  if (rest && sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d "
                               "%*u %*u %ld", &user, &system, &pages) == 3) {
    found.cpu_us = (uint64_t)(user + system) * 1000000u / (uint64_t)sysconf(_SC_CLK_TCK);
    found.rss_kb = (double)pages * (double)sysconf(_SC_PAGESIZE) / 1024;
  }
  return found;
}

usage processes_usage(void) {
  usage all = {0, 0};
  for (int i = 0; i < count; i++) {
    usage one = usage_of(pids[i]);
    all.cpu_us += one.cpu_us;
    all.rss_kb += one.rss_kb;
  }
  return all;
}

usage own_usage(void) { return usage_of(getpid()); }
