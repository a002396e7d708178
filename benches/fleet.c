// SPDX-License-Identifier: MIT OR Apache-2.0
// A server of thousands of VMs in one process: each greets, answers every command, and tells of an event each second.
#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EVENT "{\"timestamp\": {\"seconds\": 1700000000, \"microseconds\": 123456}, \"event\": \"RTC_CHANGE\", \"data\": {}}\r\n"

enum { LISTENER = -1, TIMER = -2, READY = 64 };

static void tell(int fd, const char *text)
{
    // A client that does not read loses it: nothing here may wait.
    if (send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EPIPE && errno != ECONNRESET)
        die("cannot send to a client");
}

static void answer_all(int fd, char *commands)
{
    char reply[128];
    for (char *id = commands; (id = strstr(id, "\"id\":")); id++) {
        snprintf(reply, sizeof reply, "{\"return\": {\"status\": \"running\", \"running\": true}, \"id\": %.*s}\r\n",
                 (int)strcspn(id + 5, ",}"), id + 5);
        tell(fd, reply);
    }
}

static _Noreturn void serve(int listener, bool events)
{
    static int clients[1 << 20];
    int count = 0, turn = 0, epoll = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct epoll_event ready[READY], arrival = { .events = EPOLLIN, .data.fd = listener };
    struct itimerspec each_ms = { { 0, 1000000 }, { 0, 1000000 } };
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &arrival);
    arrival.data.fd = timer;
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &arrival);
    if (events)
        timerfd_settime(timer, 0, &each_ms, NULL);
    for (;;) {
        int got = epoll_wait(epoll, ready, READY, -1);
        for (int i = 0; i < got; i++) {
            static char commands[65537];
            int fd = ready[i].data.fd;
            if (fd == listener) {
                int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                if (client < 0)
                    continue;
                arrival.data.fd = client;
                epoll_ctl(epoll, EPOLL_CTL_ADD, client, &arrival);
                tell(client, GREETING);
                clients[count++] = client;
                continue;
            }
            if (fd == timer) {
                uint64_t ticks;
                if (read(timer, &ticks, sizeof ticks) < 0)
                    continue;
                // So many a tick that each has one in a second.
                for (uint64_t due = ticks * (uint64_t)count / 1000; due > 0 && count > 0; due--)
                    tell(clients[turn++ % count], EVENT);
                continue;
            }
            ssize_t length = recv(fd, commands, sizeof commands - 1, 0);
            if (length > 0) {
                commands[length] = '\0';
                answer_all(fd, commands);
                continue;
            }
            for (int at = 0; at < count; at++)
                if (clients[at] == fd)
                    clients[at] = clients[--count];
            close(fd);
        }
    }
}

pid_t fleet_start(const char *path, bool events)
{
    struct sockaddr_un address = unix_address(path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096))
        die("cannot listen on %s", path);
    pid_t pid = fork();
    if (pid < 0)
        die("cannot start a fleet");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_IGN);
        serve(listener, events);
    }
    close(listener);
    return pid;
}
