// SPDX-License-Identifier: MIT OR Apache-2.0
// Compares libqmp with a raw C floor and exits with 1 when a bound is exceeded. Arguments: the stripped libqmp.so, and
// one without the mock VM.
#include "bench.h"

#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { ROUNDS = 301, ATTEMPTS = 3, LIBRARY_BYTES = 700000, WITH_MOCK_BYTES = 1000000, SYSCALLS = 3, OTHERS_PER_MS = 1,
       IDLE_BYTES = 1024 };

#define STATUS "{\"status\": \"running\", \"singlestep\": false, \"running\": true}"

typedef struct comparison {
    const char *name;
    const side *floor, *library;
    round_fn *round;
    int calls; // in a round
    double bound;
} comparison;

static const comparison AT_ONCE = { "query-status", &floor_exchange, &library_status, median_of_calls, 200, 1.12 };
static const comparison SCHEMA = { "query-qmp-schema", &floor_framed, &library_schema, median_of_calls, 9, 1.7 };
static const comparison CONNECT = { "connect, handshake, close", &floor_exchange, &library_status, median_of_connects,
                                    40, 1.2 };
static const comparison THREADS = { "query-status, 8 threads", &floor_threads, &library_status, mean_of_threads, 1600,
                                    1.0 };
static const comparison PIPELINED_64 = { "64 commands, pipelined", &floor_batched_64, &library_pipelined_64,
                                         median_of_calls, 20, 2.0 };
static const comparison PIPELINED_256 = { "256 commands, pipelined", &floor_batched_256, &library_pipelined_256,
                                          median_of_calls, 8, 2.5 };
static const comparison TOGETHER_64 = { "  64, replies in one write", &floor_batched_64, &library_pipelined_64,
                                        median_of_calls, 20, 4.0 };
static const comparison TOGETHER_256 = { "  256, replies in one write", &floor_batched_256, &library_pipelined_256,
                                         median_of_calls, 8, 4.0 };
static const comparison DROPPED = { "1000 events, dropped", &floor_lines, &library_dropped, median_of_calls, 3, 2.0 };
static const comparison POLLED = { "1000 events, polled", &floor_lines, &library_polled, median_of_calls, 3, 3.33 };
static const comparison AT_ONCE_DROPPED = { "  dropped, in one write", &floor_lines, &library_dropped, median_of_calls, 5,
                                            13 };
static const comparison AT_ONCE_POLLED = { "  polled, in one write", &floor_lines, &library_polled, median_of_calls, 5, 22 };
static const comparison QEMU = { "query-status, real QEMU", &floor_exchange, &library_status, median_of_calls, 20,
                                 1.03 };

static pid_t owner;
static char directory[64];

static const char *socket_path(const char *name)
{
    static char path[96];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

// ROWS=TEXT leaves out the rows without that text in their names.
static bool is_wanted(const char *row)
{
    const char *rows = getenv("ROWS");
    return !rows || !*rows || strstr(row, rows);
}

static bool verdict(bool within)
{
    puts(within ? "  ok" : "  OVER");
    return within;
}

// Rounds are short and many, so that both sides meet the same noise, and end in a median with its 95 % interval.
// A comparison that exceeds its bound is made again only where noise shows: that interval holds the bound, or other
// processes took a tenth of the CPU.
static bool compare(const comparison *c, const target *target)
{
    if (!is_wanted(c->name))
        return true;
    for (int attempt = 1;; attempt++) {
        double floor[ROUNDS], library[ROUNDS], ratio[ROUNDS];
        double started = now_us(), spent = cpu_us(target->pid);
        for (int r = 0; r < ROUNDS; r++) {
            for (int turn = 0; turn < 2; turn++)
                if ((r + turn) % 2)
                    floor[r] = c->round(c->floor, target, c->calls);
                else
                    library[r] = c->round(c->library, target, c->calls);
            ratio[r] = library[r] / floor[r];
        }
        double share = (cpu_us(target->pid) - spent) / (now_us() - started);
        double half = 0.98 / sqrt(ROUNDS); // of the ranks around the median, as the binomial distribution has it
        double median = quantile(ratio, ROUNDS, 0.5), low = quantile(ratio, ROUNDS, 0.5 - half);
        printf("%-28s%10.2f%10.2f%8.3f  %.3f-%.3f%5.0f%%  <= %-7.2f", c->name, quantile(floor, ROUNDS, 0.5),
               quantile(library, ROUNDS, 0.5), median, low, quantile(ratio, ROUNDS, 0.5 + half),
               100 * share, c->bound);
        if (median > c->bound && (low <= c->bound || share < 0.9) && attempt < ATTEMPTS)
            puts("  noise: again");
        else
            return verdict(median <= c->bound);
    }
}

static bool compare_scale(void)
{
    enum { SCALE_ROUNDS = 7 };
    double cpu[3][SCALE_ROUNDS], p99[3][SCALE_ROUNDS];
    if (!is_wanted("1000 VMs"))
        return true;
    pid_t fleet = fleet_start(socket_path("fleet"), true);
    for (int r = 0; r < SCALE_ROUNDS; r++) {
        for (int turn = 0; turn < 2; turn++) {
            int library = (r + turn) % 2;
            scale scale = scale_of(library, socket_path("fleet"));
            cpu[library][r] = scale.cpu;
            p99[library][r] = scale.p99;
        }
        cpu[2][r] = cpu[1][r] / cpu[0][r];
        p99[2][r] = p99[1][r] / p99[0][r];
    }
    kill(fleet, SIGKILL);
    bool within = true;
    for (int row = 0; row < 2; row++) {
        double(*values)[SCALE_ROUNDS] = row ? p99 : cpu, bound = row ? 1.5 : 1.2;
        double median[3];
        for (int i = 0; i < 3; i++)
            median[i] = quantile(values[i], SCALE_ROUNDS, 0.5);
        printf("%-28s%10.2f%10.2f%8.3f%19s  <= %-7.2f", row ? "  p99 of a query" : "1000 VMs, CPU of each in 1 s", median[0],
               median[1], median[2], "", bound);
        within &= verdict(median[2] <= bound);
    }
    return within;
}

static bool measure_idle(void)
{
    if (!is_wanted("idle"))
        return true;
    pid_t fleet = fleet_start(socket_path("idle"), false);
    double bytes = idle_bytes(socket_path("idle"));
    kill(fleet, SIGKILL);
    printf("%-28s%10s%10.0f%27s  <= %-7d", "bytes, idle, of 10000", "", bytes, "", IDLE_BYTES);
    return verdict(bytes <= IDLE_BYTES);
}

// The library first: its run shows the server the bytes that the floor then sends.
static bool compare_syscalls(const target *target)
{
    if (!is_wanted("syscalls"))
        return true;
    syscalls library = syscalls_count(&library_status, target), floor = syscalls_count(&floor_exchange, target);
    const char *row = "%-28s%10.2f%10.2f                             <= %-7d";
    printf(row, "syscalls per query-status", floor.per_call, library.per_call, SYSCALLS);
    bool caller = verdict(library.per_call <= SYSCALLS);
    printf(row, "  by other threads, per ms", floor.others_per_ms, library.others_per_ms, OTHERS_PER_MS);
    return verdict(library.others_per_ms <= OTHERS_PER_MS) && caller;
}

static bool compare_size(const char *what, const char *path, long bound)
{
    struct stat file;
    if (stat(path, &file))
        die("cannot find %s", path);
    printf("%-28s%10s%10lld%27s  <= %-7ld", what, "", (long long)file.st_size, "", bound);
    return verdict(file.st_size <= bound);
}

// Both sides, the servers and QEMU inherit it. The last one allowed: `taskset` chooses another.
static int pin_to_one_cpu(void)
{
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed))
        die("cannot read the CPUs allowed");
    int cpu = CPU_SETSIZE - 1;
    while (!CPU_ISSET(cpu, &allowed))
        cpu--;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one))
        die("cannot pin to CPU %d", cpu);
    return cpu;
}

static void remove_sockets(void)
{
    if (getpid() != owner)
        return;
    unlink(socket_path("status"));
    unlink(socket_path("schema"));
    unlink(socket_path("one-by-one"));
    unlink(socket_path("events"));
    unlink(socket_path("flood"));
    unlink(socket_path("fleet"));
    unlink(socket_path("idle"));
    unlink(socket_path("qemu"));
    rmdir(directory);
}

// The library goes first: the floor sends what it was seen to send.
static void show_requests(const target *target)
{
    void *client = library_status.open(target);
    library_status.call(client);
    library_status.close(client);
}

static target *start_server(const char *name, const char *body, manner manner)
{
    target *target = server_start(socket_path(name), body, manner);
    show_requests(target);
    return target;
}

// For machines without QEMU: as long as what QEMU 7.2 answers, and of the same making.
static char *schema_like_qemu(void)
{
    static const char entry[] = "{\"name\": \"117\", \"members\": [{\"name\": \"id\", \"default\": null, "
                                "\"type\": \"str\"}, {\"name\": \"force\", \"type\": \"bool\"}], "
                                "\"meta-type\": \"object\"}, ";
    enum { ENTRIES = 207000 / (sizeof entry - 1) };
    char *schema = malloc(sizeof entry * ENTRIES + 2), *end = schema;
    if (!schema)
        die("no memory for a schema");
    *end++ = '[';
    for (int i = 0; i < ENTRIES; i++)
        end = stpcpy(end, entry);
    strcpy(end - 2, "]");
    return schema;
}

int main(int count, char **arguments)
{
    if (count != 3)
        die("usage: bench STRIPPED_LIBRARY THE_SAME_WITHOUT_MOCK");
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct utsname machine;
    uname(&machine);
    printf("Everything on CPU %d, %s %s %s; medians of %d interleaved rounds, in microseconds per call.\n\n",
           pin_to_one_cpu(), machine.sysname, machine.release, machine.machine, ROUNDS);
    printf("%-28s%10s%10s%8s  %-11s%6s  %-10s\n", "", "raw C", "libqmp", "ratio", "95 %", "CPU", "bound");

    const char *temporary = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/qmp-bench-XXXXXX", temporary ? temporary : P_tmpdir);
    if (!mkdtemp(directory))
        die("cannot make %s", directory);
    owner = getpid();
    atexit(remove_sockets);

    target *status = server_start(socket_path("status"), STATUS, (manner){ 0 });
    bool ok = compare_syscalls(status); // before any thread of the library runs here: it forks
    show_requests(status);
    ok &= compare(&AT_ONCE, status);
    ok &= compare(&CONNECT, status);
    ok &= compare(&THREADS, status);
    target *one_by_one = start_server("one-by-one", STATUS, (manner){ .one_by_one = true });
    ok &= compare(&TOGETHER_64, status);
    ok &= compare(&TOGETHER_256, status);
    ok &= compare(&PIPELINED_64, one_by_one);
    ok &= compare(&PIPELINED_256, one_by_one);

    manner talkative = { .before = events_text(), .one_by_one = true }, flooding = { .before = events_text() };
    target *events = start_server("events", STATUS, talkative), *flood = start_server("flood", STATUS, flooding);
    ok &= compare(&DROPPED, events);
    ok &= compare(&POLLED, events);
    ok &= compare(&AT_ONCE_DROPPED, flood);
    ok &= compare(&AT_ONCE_POLLED, flood);

    char *schema;
    target real = *status;
    snprintf(real.path, sizeof real.path, "%s", socket_path("qemu"));
    real.pid = qemu_start(real.path);
    if (real.pid) {
        ok &= compare(&QEMU, &real);
        schema = library_fetch_schema(&real);
        qemu_stop(real.pid);
    } else {
        printf("%-28s%10s\n", QEMU.name, "skipped: no QEMU found");
        ok &= !getenv("QMP_REQUIRE_QEMU");
        schema = schema_like_qemu();
    }
    target *schemas = server_start(socket_path("schema"), schema, (manner){ 0 });
    SCHEMA.library->close(SCHEMA.library->open(schemas));
    ok &= compare(&SCHEMA, schemas);
    ok &= compare_scale();
    ok &= measure_idle();
    ok &= compare_size("bytes, without the mock VM", arguments[2], LIBRARY_BYTES);
    ok &= compare_size("bytes, with it", arguments[1], WITH_MOCK_BYTES);

    puts("\nCPU: the share of it that the comparison had, beside other processes.\n"
         "raw C: blocking send and recv of the same bytes, nothing looked at; for the schema also framing by JSON\n"
         "structure in a byte loop, a UTF-8 check and a malloc'd copy; for threads a mutex to send, and one reader\n"
         "thread that matches ids, copies each reply and wakes its caller, who waits on a futex with a deadline. Pipelined:\n"
         "one send for all, then lines are read, matched by id and copied. The server writes each reply and event by itself,\n"
         "as QEMU does, or all in one write where the row says so. Events: lines are counted. 1000 VMs: an epoll loop that\n"
         "looks for newlines, ids and events; the library's is the same loop with qmp_fd and qmp_process.");
    return !ok;
}
