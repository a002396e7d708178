/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Where sessions are recorded to, and what happens when they cannot be: recording never costs a call. */
#include "support/child.h"
#include "support/directory.h"
#include "support/recording.h"
#include "support/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void cannot_be_opened(const char *file, const char *address, qmp_status expected)
{
    qmp_options *options = recording_to(file);
    qmp_client *client = (qmp_client *)1;
    qmp_error *error = NULL;
    CHECK_STATUS(qmp_connect(address, options, PATIENCE_MS, NULL, &client, &error), expected);
    CHECK(client == NULL);
    CHECK_HAS(error ? error->message : NULL, transcript);
    qmp_error_free(error);
    qmp_options_free(options);
}

static const char *address;

/* With the rights of somebody else if we are root, who is let in everywhere. */
static void is_locked_out(void)
{
    if (geteuid() == 0)
        REQUIRE(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
    cannot_be_opened("locked/file", address, QMP_ERR_PERMISSION);
}

static void a_file_that_cannot_be_opened_fails_connecting(void)
{
    server *server = server_start_tcp(serve_plainly);
    char given[32], fifo[128], locked[128];
    int fd = server_connect(server);
    address = server_address(server);

    cannot_be_opened("missing/file", address, QMP_ERR_NOT_FOUND);
    cannot_be_opened(".", address, QMP_ERR_IO);
    snprintf(given, sizeof given, "fd:%d", fd);
    cannot_be_opened("missing/file", given, QMP_ERR_NOT_FOUND);
    CHECK(fcntl(fd, F_GETFD) == -1 && errno == EBADF); /* taken over, as the header says */

    /* Neither waits for a reader, nor dies with it. */
    snprintf(fifo, sizeof fifo, "%s/fifo", recordings);
    CHECK_INT(mkfifo(fifo, 0600), 0);
    cannot_be_opened("fifo", address, QMP_ERR_IO);
    fd = open(fifo, O_RDONLY | O_NONBLOCK);
    cannot_be_opened("fifo", address, QMP_ERR_IO);
    close(fd);

    snprintf(locked, sizeof locked, "%s/locked", recordings);
    CHECK_INT(mkdir(locked, 0), 0);
    run_in_child(is_locked_out);
    CHECK_SOON(server_open(server) == 0);
    server_stop(server);
}

struct warnings {
    atomic_int count;
    char text[256];
};

static void count_warnings(void *user_data, int32_t level, const char *message)
{
    struct warnings *warnings = user_data;
    if (level == QMP_LOG_WARN && atomic_fetch_add(&warnings->count, 1) == 0)
        snprintf(warnings->text, sizeof warnings->text, "%s", message);
}

/* A limit on the size of files does what a full disk does. */
static void a_full_disk_ends_the_recording_alone(void)
{
    enum { MOST = 4096 };
    struct warnings warnings = {0};
    struct rlimit before, full;
    struct stat status;
    server *server = server_start(serve_ticking);
    qmp_options *options = recording_to("full");
    CHECK_STATUS(qmp_options_set_log(options, QMP_LOG_WARN, count_warnings, &warnings, NULL), QMP_OK);
    qmp_client *client = record_from(server_address(server), options);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    bool all = true;
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &before), 0);
    full = before;
    full.rlim_cur = MOST;
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &full), 0);
    for (int i = 0; i < 100; i++)
        all &= execute(client, "stop") == QMP_OK;
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    CHECK(all);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_INT(atomic_load(&warnings.count), 1);
    CHECK_HAS(warnings.text, "recording");
    CHECK(stat(transcript, &status) == 0 && status.st_size == MOST);
    qmp_close(client);
    qmp_options_free(options);

    /* On a device that is full from the start there is nothing to begin with. */
    options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_record(options, "/dev/full"), QMP_OK);
    CHECK_STATUS(qmp_connect(server_address(server), options, PATIENCE_MS, NULL, &client, NULL), QMP_ERR_RESOURCE);
    qmp_options_free(options);
    server_stop(server);
}

static bool is_recorded(pid_t pid, int number)
{
    char name[256];
    snprintf(name, sizeof name, "%s/all/qmp-%d-%d.jsonl", recordings, (int)pid, number);
    return access(name, F_OK) == 0;
}

static void is_the_first_of_its_process(void)
{
    qmp_close(record_from(address, NULL));
    CHECK(is_recorded(getpid(), 1));
}

static void the_environment_records_every_client(void)
{
    char all[128];
    server *server = server_start(serve_plainly);
    qmp_options *options = recording_to("chosen");
    snprintf(all, sizeof all, "%s/all", recordings);
    CHECK_INT(mkdir(all, 0700), 0);
    setenv("QMP_RECORD", all, 1);
    for (int number = 1; number <= 2; number++) {
        qmp_close(record_from(server_address(server), NULL));
        CHECK(is_recorded(getpid(), number));
    }
    /* A path of its own wins. */
    qmp_close(record_from(server_address(server), options));
    check_transcript((const char *const[]){GREETED, CLOSED, NULL});
    CHECK(!is_recorded(getpid(), 3));

    address = server_address(server);
    run_in_child(is_the_first_of_its_process);

    setenv("QMP_RECORD", "", 1);
    qmp_close(record_from(server_address(server), NULL));
    unsetenv("QMP_RECORD");
    qmp_close(record_from(server_address(server), NULL));
    CHECK(!is_recorded(getpid(), 3));
    directory_remove(all);
    qmp_options_free(options);
    server_stop(server);
}

static void what_is_no_path_is_refused(void)
{
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_record(NULL, "/tmp"), NULL_HANDLE);
    CHECK_STATUS(qmp_options_set_record(options, ""), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_options_set_record(options, "/\xff"), QMP_OK); /* paths are bytes */
    CHECK_STATUS(qmp_options_set_record(options, NULL), QMP_OK);
    qmp_options_free(options);
    CHECK_STATUS(qmp_options_set_record(options, "/tmp"), QMP_ERR_INVALID_HANDLE);
}

int main(void)
{
    recordings_make();
    RUN(a_file_that_cannot_be_opened_fails_connecting);
    RUN(a_full_disk_ends_the_recording_alone);
    RUN(the_environment_records_every_client);
    RUN(what_is_no_path_is_refused);
    recordings_remove();
    return check_end();
}
