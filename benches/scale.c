// SPDX-License-Identifier: MIT OR Apache-2.0
// A manager of many VMs: each tells of an event and is asked for its status once a second. The library in the manager's
// own loop against a program of bare sockets in an epoll, each in a process of its own.
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VMS = 1000, READY = 64, MOST_QUERIES = 100000 };
enum { WARM_UP_US = 300000, MEASURED_US = 1500000 };

typedef struct vm {
    int fd;
    qmp_client *client;
    double asked; // 0: no reply is due
    unsigned id;
} vm;

static vm vms[VMS];
static double latencies[MOST_QUERIES];
static int answered, told;

static void answer_came(vm *vm)
{
    if (!vm->asked || answered == MOST_QUERIES)
        die("a reply that nobody waits for");
    latencies[answered++] = now_us() - vm->asked;
    vm->asked = 0;
}

// ---- bare sockets

static void raw_receive(vm *vm)
{
    static char text[65536];
    ssize_t got = recv(vm->fd, text, sizeof text, MSG_DONTWAIT);
    if (got <= 0)
        die("a VM is gone");
    for (char *line = text, *end; (end = memchr(line, '\n', (size_t)(text + got - line))); line = end + 1) {
        if (memmem(line, (size_t)(end - line), "\"event\":", 8))
            told++;
        else if (memmem(line, (size_t)(end - line), "\"id\":", 5))
            answer_came(vm);
    }
}

static void raw_open(vm *vm, const char *path)
{
    static const char negotiation[] = "{\"execute\":\"qmp_capabilities\",\"id\":1}";
    char text[1024];
    vm->fd = unix_connect(path);
    if (vm->fd < 0 || recv(vm->fd, text, sizeof text, 0) <= 0 ||
        send(vm->fd, negotiation, sizeof negotiation - 1, MSG_NOSIGNAL) < 0 || recv(vm->fd, text, sizeof text, 0) <= 0)
        die("cannot connect");
    vm->id = 1;
}

static void raw_ask(vm *vm)
{
    char command[64];
    int length = snprintf(command, sizeof command, "{\"execute\":\"query-status\",\"id\":%u}", ++vm->id);
    vm->asked = now_us();
    if (send(vm->fd, command, (size_t)length, MSG_NOSIGNAL) != length)
        die("cannot ask");
}

// ---- the library

static void library_receive(vm *vm)
{
    qmp_error *error = NULL;
    require(qmp_process(vm->client, &error), error);
}

static void count_event(void *user_data, const qmp_event *event)
{
    (void)user_data;
    told += event->kind == QMP_EVENT_VM;
}

static void take_reply(void *user_data, qmp_status status, const char *reply_json, const qmp_error *error)
{
    if (status != QMP_OK || !strstr(reply_json, "running"))
        die("no reply: %s", error ? error->message : reply_json);
    answer_came(user_data);
}

static void library_open_vm(vm *vm, const char *path)
{
    static qmp_options *options;
    qmp_error *error = NULL;
    qmp_subscription *subscription;
    if (!options) {
        options = qmp_options_new();
        require(qmp_options_set_own_loop(options, true), NULL);
        require(qmp_options_set_event_capacity(options, 1), NULL); // they go to the subscription
    }
    require(qmp_connect(path, options, TIMEOUT_MS, NULL, &vm->client, &error), error);
    require(qmp_subscribe(vm->client, NULL, NULL, NULL, 0, &subscription, &error), error);
    require(qmp_subscription_set_callback(subscription, QMP_ON_DISPATCH, count_event, NULL, NULL, &error), error);
    require(qmp_fd(vm->client, &vm->fd, &error), error);
}

static void library_ask(vm *vm)
{
    qmp_error *error = NULL;
    qmp_request *request;
    vm->asked = now_us();
    require(qmp_submit_json(vm->client, "query-status", NULL, false, &request, &error), error);
    require(qmp_request_set_callback(request, QMP_ON_DISPATCH, take_reply, vm, NULL, &error), error);
    qmp_request_free(request);
}

// ---- the loop, the same for both

typedef struct manager {
    void (*open)(vm *vm, const char *path);
    void (*ask)(vm *vm);
    void (*receive)(vm *vm);
} manager;

static const manager RAW = { raw_open, raw_ask, raw_receive };
static const manager LIBRARY = { library_open_vm, library_ask, library_receive };

static double cpu_of_this_process(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static scale manage(const manager *manager, const char *path)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), turn = 0;
    struct itimerspec each_ms = { { 0, 1000000 }, { 0, 1000000 } };
    struct epoll_event ready[READY], arrival = { .events = EPOLLIN, .data.ptr = NULL };
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &arrival);
    for (int i = 0; i < VMS; i++) {
        manager->open(&vms[i], path);
        arrival.data.ptr = &vms[i];
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, vms[i].fd, &arrival))
            die("cannot watch a VM");
    }
    timerfd_settime(timer, 0, &each_ms, NULL);
    double begun = 0, started = now_us(), spent = 0;
    while (!begun || now_us() < begun + MEASURED_US) {
        if (!begun && now_us() > started + WARM_UP_US) {
            answered = told = 0;
            spent = cpu_of_this_process();
            begun = now_us();
        }
        int got = epoll_wait(epoll, ready, READY, -1);
        for (int i = 0; i < got; i++) {
            uint64_t ticks = 0;
            if (ready[i].data.ptr)
                manager->receive(ready[i].data.ptr);
            else if (read(timer, &ticks, sizeof ticks) == sizeof ticks)
                for (; ticks > 0; ticks--, turn++)
                    if (!vms[turn % VMS].asked)
                        manager->ask(&vms[turn % VMS]);
        }
    }
    double seconds = (now_us() - begun) / 1e6;
    scale scale = { .cpu = (cpu_of_this_process() - spent) / seconds / VMS, .p99 = quantile(latencies, answered, 0.99) };
    // Both were asked for as often, and neither lost what it was told.
    if (answered < 0.9 * VMS * seconds || told < 0.8 * VMS * seconds)
        die("%d answers and %d events in %.1f s are too few", answered, told, seconds);
    return scale;
}

scale scale_of(bool library, const char *path)
{
    int result[2];
    scale scale;
    if (pipe(result))
        die("cannot make a pipe");
    pid_t pid = fork();
    if (pid < 0)
        die("cannot start a manager");
    if (pid == 0) {
        scale = manage(library ? &LIBRARY : &RAW, path);
        _exit(write(result[1], &scale, sizeof scale) != sizeof scale);
    }
    close(result[1]);
    if (read(result[0], &scale, sizeof scale) != sizeof scale)
        die("a manager failed");
    close(result[0]);
    waitpid(pid, NULL, 0);
    return scale;
}
