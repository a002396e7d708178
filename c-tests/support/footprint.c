/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "footprint.h"

#include "check.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

/* The I/O thread has an epoll set and an eventfd. */
enum { DESCRIPTORS_OF_THE_IO_THREAD = 2 };

int count_descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return -1; /* none is free */
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 3; /* ".", ".." and the directory itself */
}

static bool has_name(const char *thread, const char *name)
{
    char path[64], actual[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%.16s/comm", thread);
    FILE *file = fopen(path, "r");
    bool same = file && fgets(actual, sizeof actual, file) && strncmp(actual, name, strlen(name)) == 0 &&
                actual[strlen(name)] == '\n';
    if (file)
        fclose(file);
    return same;
}

int count_threads(const char *name)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/task");
    if (!directory)
        return -1;
    for (struct dirent *task; (task = readdir(directory));)
        count += task->d_name[0] != '.' && (!name || has_name(task->d_name, name));
    closedir(directory);
    return count;
}

struct footprint footprint_take(void)
{
    int io_threads = count_threads("qmp-io");
    return (struct footprint){
        .descriptors = count_descriptors() - io_threads * DESCRIPTORS_OF_THE_IO_THREAD,
        .threads = count_threads(NULL) - io_threads,
        .bytes = memory_is_countable() ? mallinfo2().uordblks + mallinfo2().hblkhd : 0,
    };
}
