/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "footprint.h"

#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void *do_nothing(void *data)
{
    return data;
}

/* ThreadSanitizer starts a thread of its own with the first of the program, and keeps it: so have it do so now. */
__attribute__((constructor)) static void start_tools(void)
{
    pthread_t thread;
    if (is_instrumented() && pthread_create(&thread, NULL, do_nothing, NULL) == 0)
        pthread_join(thread, NULL);
}

/* Entries of a directory of /proc/self whose link, if one is asked for, is this; -1: no descriptor is free. */
static int count_entries(const char *path, const char *link)
{
    int count = 0;
    DIR *directory = opendir(path);
    if (!directory)
        return -1;
    for (struct dirent *entry; (entry = readdir(directory));) {
        char target[64] = "";
        if (link && readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1) < 0)
            continue;
        count += entry->d_name[0] != '.' && (!link || strcmp(target, link) == 0);
    }
    closedir(directory);
    return count;
}

int count_descriptors(void)
{
    return count_entries("/proc/self/fd", NULL) - 1; /* the directory's own */
}

int count_threads(void)
{
    return count_entries("/proc/self/task", NULL);
}

/* The library's thread for callbacks stays too, and has no descriptor. */
static bool calls_back(void)
{
    bool found = false;
    DIR *directory = opendir("/proc/self/task");
    for (struct dirent *entry; directory && !found && (entry = readdir(directory));) {
        char path[288], name[16] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        found = fd >= 0 && read(fd, name, sizeof name - 1) > 0 && strcmp(name, "qmp-callbacks\n") == 0;
        if (fd >= 0)
            close(fd);
    }
    if (directory)
        closedir(directory);
    return found;
}

struct footprint footprint_take(void)
{
    /* A thread that stays has an epoll set, and an eventfd by which it is woken. */
    int staying = count_entries("/proc/self/fd", "anon_inode:[eventpoll]");
    return (struct footprint){
        .descriptors = count_descriptors() - 2 * staying,
        .threads = count_threads() - staying - calls_back(),
        .bytes = memory_is_countable() ? mallinfo2().uordblks + mallinfo2().hblkhd : 0,
    };
}
