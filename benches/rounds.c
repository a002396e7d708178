// SPDX-License-Identifier: MIT OR Apache-2.0
#include "bench.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

enum { THREADS = 8 };

static double *samples_new(int count)
{
    double *samples = malloc((size_t)count * sizeof *samples);
    if (!samples)
        die("no memory for samples");
    return samples;
}

static double median_of(double *samples, int count)
{
    double median = quantile(samples, count, 0.5);
    free(samples);
    return median;
}

double median_of_calls(const side *side, const target *target, int calls)
{
    double *samples = samples_new(calls);
    void *connection = side->open(target);
    for (int warm_up = calls / 10; warm_up > 0; warm_up--)
        side->call(connection);
    double before = now_us();
    for (int i = 0; i < calls; i++) {
        side->call(connection);
        double after = now_us();
        samples[i] = after - before;
        before = after;
    }
    side->close(connection);
    return median_of(samples, calls);
}

double median_of_connects(const side *side, const target *target, int calls)
{
    double *samples = samples_new(calls);
    double before = now_us();
    for (int i = 0; i < calls; i++) {
        side->close(side->open(target));
        double after = now_us();
        samples[i] = after - before;
        before = after;
    }
    return median_of(samples, calls);
}

typedef struct caller {
    const side *side;
    void *connection;
    int calls;
    pthread_barrier_t *ready;
    double started, ended;
} caller;

static void *call_often(void *argument)
{
    caller *c = argument;
    c->side->call(c->connection);
    pthread_barrier_wait(c->ready);
    c->started = now_us();
    for (int i = 0; i < c->calls; i++)
        c->side->call(c->connection);
    c->ended = now_us();
    return NULL;
}

double mean_of_threads(const side *side, const target *target, int calls)
{
    pthread_t threads[THREADS];
    caller callers[THREADS];
    pthread_barrier_t ready;
    void *connection = side->open(target);
    pthread_barrier_init(&ready, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        callers[i] = (caller){ side, connection, calls / THREADS, &ready, 0, 0 };
        if (pthread_create(&threads[i], NULL, call_often, &callers[i]))
            die("cannot start a caller");
    }
    double first = INFINITY, last = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        first = fmin(first, callers[i].started);
        last = fmax(last, callers[i].ended);
    }
    pthread_barrier_destroy(&ready);
    side->close(connection);
    return (last - first) / calls;
}
