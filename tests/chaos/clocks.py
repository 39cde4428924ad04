"""A process whose wall clock can be moved from outside while it runs, as by a bad NTP server.

A small library, compiled with `cc` and preloaded, adds to CLOCK_REALTIME the seconds that a file holds.
Monotonic clocks go on as they do on a real machine.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile int64_t *offset;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    real = dlsym(RTLD_NEXT, "clock_gettime");
    int file = open(getenv("CLOCK_FILE"), O_RDONLY);
    void *found = mmap(0, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    if (found != MAP_FAILED) offset = found;
}

int clock_gettime(clockid_t which, struct timespec *now) {
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(which, now);
    if (offset && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) now->tv_sec += *offset;
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    int result = clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return result;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
"""

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="moving a clock takes a C compiler")


class Clock:
    """`env` is for the process whose clock is moved."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        library, self._file = directory / "clock.so", directory / "offset"
        source = directory / "clock.c"
        source.write_text(SOURCE)
        command = ["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
        subprocess.run(command, check=True)
        self.step(0)
        self.env = {"LD_PRELOAD": str(library), "CLOCK_FILE": str(self._file)}

    def step(self, seconds: int) -> None:
        """From now on the clock is that far off."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("q", seconds))
