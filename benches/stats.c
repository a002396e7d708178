// SPDX-License-Identifier: MIT OR Apache-2.0
#include "bench.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double us_of(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

double now_us(void)
{
    return us_of(CLOCK_MONOTONIC);
}

double cpu_us(pid_t other)
{
    clockid_t its;
    if (clock_getcpuclockid(other, &its))
        die("the server is gone");
    return us_of(CLOCK_PROCESS_CPUTIME_ID) + us_of(its);
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double quantile(double *values, int count, double q)
{
    qsort(values, (size_t)count, sizeof *values, ascending);
    return values[(int)(q * (count - 1) + 0.5)];
}

void die(const char *format, ...)
{
    int failure = errno;
    va_list arguments;
    va_start(arguments, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, failure ? " (errno: %s)\n" : "\n", strerror(failure));
    va_end(arguments);
    exit(2);
}
