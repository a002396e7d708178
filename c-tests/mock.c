/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The mock VM, from C: where it listens, what it is told, what it tells, and how it ends. */
#include "support/child.h"
#include "support/client.h"
#include "support/directory.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static qmp_error *error;
static char directory[64];

static qmp_mock *started(const char *address)
{
    qmp_mock *mock = NULL;
    CHECK_STATUS(qmp_mock_start(address, &mock, &error), QMP_OK);
    return mock;
}

static qmp_client *client_of(qmp_mock *mock)
{
    char *address = NULL;
    qmp_client *client = NULL;
    CHECK_STATUS(qmp_mock_address(mock, &address, &error), QMP_OK);
    CHECK_STATUS(qmp_connect(address, NULL, PATIENCE_MS, NULL, &client, &error), QMP_OK);
    qmp_string_free(address);
    return client;
}

static void check_reply(qmp_client *client, const char *command, const char *expected)
{
    char *reply = NULL;
    CHECK_STATUS(qmp_execute_json(client, command, NULL, PATIENCE_MS, NULL, &reply, &error), QMP_OK);
    CHECK_STR(reply, expected);
    qmp_string_free(reply);
}

static void serves_at(const char *address, const char *shown)
{
    qmp_mock *mock = started(address);
    char *actual = NULL;
    CHECK_STATUS(qmp_mock_address(mock, &actual, &error), QMP_OK);
    CHECK_HAS(actual, shown);
    qmp_string_free(actual);
    qmp_client *client = client_of(mock);
    check_reply(client, "query-name", "{}");
    CHECK_STATUS(qmp_close(client), QMP_OK);
    CHECK_STATUS(qmp_mock_stop(mock), QMP_OK);
}

static void listens_on_every_kind_of_address(void)
{
    char path[200], address[220];
    snprintf(path, sizeof path, "%s/vm.sock", directory);
    struct stat file;
    serves_at(path, path);
    CHECK(stat(path, &file) != 0);
    snprintf(address, sizeof address, "unix:%s", path);
    serves_at(address, path);
    snprintf(address, sizeof address, "abstract:libqmp-test-%d", (int)getpid());
    serves_at(address, address);
    serves_at("tcp:127.0.0.1:0", "tcp:127.0.0.1:");
    serves_at("tcp:[::1]:0", "tcp:[::1]:");
    serves_at(NULL, "/");
}

static void refuses_an_address_that_it_cannot_have(void)
{
    char path[200];
    snprintf(path, sizeof path, "%s/vm.sock", directory);
    qmp_mock *first = started(path), *second = (qmp_mock *)1;
    CHECK_ERROR(qmp_mock_start(path, &second, &error), QMP_ERR_BUSY, error);
    CHECK(second == NULL);
    CHECK_STATUS(qmp_mock_stop(first), QMP_OK);
    CHECK_ERROR(qmp_mock_start("/no/such/directory/vm.sock", &second, &error), QMP_ERR_NOT_FOUND, error);
    const char *never[] = {"", "tcp:0.0.0.0:0", "tcp:192.0.2.1:4444", "tcp:localhost:1", "fd:0", "unix:"};
    for (size_t at = 0; at < sizeof never / sizeof *never; at++)
        CHECK_ERROR(qmp_mock_start(never[at], &second, &error), QMP_ERR_INVALID_ARGUMENT, error);
}

static void stopping_ends_its_clients(void)
{
    qmp_mock *mock = started(NULL);
    qmp_client *client = client_of(mock);
    qmp_event *event = NULL;
    CHECK_STATUS(qmp_mock_stop(mock), QMP_OK);
    CHECK_ERROR(qmp_poll_event(client, PATIENCE_MS, NULL, &event, &error), QMP_ERR_DISCONNECTED, error);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    CHECK_STATUS(qmp_mock_stop(mock), QMP_ERR_INVALID_HANDLE);
    CHECK_ERROR(qmp_mock_emit(mock, "STOP", NULL, &error), QMP_ERR_INVALID_HANDLE, error);
}

static void says_what_it_is_told(void)
{
    qmp_mock *mock = started(NULL);
    CHECK_STATUS(qmp_mock_set_version(mock, 9, 2, 1, NULL, &error), QMP_OK);
    CHECK_STATUS(qmp_mock_set_capabilities(mock, "[]", &error), QMP_OK);
    CHECK_STATUS(qmp_mock_set_name(mock, "vm", &error), QMP_OK);
    CHECK_STATUS(qmp_mock_set_run_state(mock, "paused", &error), QMP_OK);
    CHECK_ERROR(qmp_mock_set_run_state(mock, "PAUSED", &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_ERROR(qmp_mock_set_guest(mock, 6, 0, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_ERROR(qmp_mock_set_clients(mock, 0, &error), QMP_ERR_INVALID_ARGUMENT, error);
    qmp_client *client = client_of(mock);
    char *greeting = NULL;
    CHECK_STATUS(qmp_greeting_json(client, &greeting, &error), QMP_OK);
    CHECK_HAS(greeting, "\"major\": 9");
    CHECK_HAS(greeting, "\"capabilities\": []");
    qmp_string_free(greeting);
    check_reply(client, "query-name", "{\"name\": \"vm\"}");
    check_reply(client, "cont", "{}");

    CHECK_STATUS(qmp_mock_reply(mock, "query-x", "[1.50, null]", 1, &error), QMP_OK);
    check_reply(client, "query-x", "[1.50,null]");
    CHECK_ERROR(qmp_mock_reply(mock, "query-x", "{", 1, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_ERROR(qmp_mock_reply(mock, "no name", "{}", 1, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_ERROR(qmp_mock_reply(mock, "query-x", "{}", 0, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_ERROR(qmp_mock_fault(mock, "query-x", "no-version", 0, 1, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_ERROR(qmp_mock_delay(mock, "query-x", -2, 1, &error), QMP_ERR_INVALID_ARGUMENT, error);
    CHECK_ERROR(qmp_mock_emit(mock, "E", "[]", &error), QMP_ERR_INVALID_ARGUMENT, error);

    CHECK_STATUS(qmp_mock_expect(mock, "[\"query-name\", \"cont\", \"query-x\"]", PATIENCE_MS, &error), QMP_OK);
    CHECK_ERROR(qmp_mock_expect(mock, "[\"quit\"]", 0, &error), QMP_ERR_TIMEOUT, error);
    uint64_t count = 0, bytes = 0;
    CHECK_STATUS(qmp_mock_count(mock, "query-x", &count, &error), QMP_OK);
    CHECK_INT(count, 1);
    CHECK_STATUS(qmp_mock_bytes_received(mock, &bytes, &error), QMP_OK);
    CHECK(bytes > 100);
    char *received = NULL;
    CHECK_STATUS(qmp_mock_received_json(mock, &received, &error), QMP_OK);
    CHECK_STR(received, "[{\"execute\": \"query-name\"}, {\"execute\": \"cont\"}, {\"execute\": \"query-x\"}]");
    qmp_string_free(received);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    CHECK_STATUS(qmp_mock_stop(mock), QMP_OK);
}

static void the_header_names_every_fault(void)
{
    FILE *file = fopen("../include/qmp.h", "r");
    REQUIRE(file != NULL);
    static char header[1 << 20];
    size_t length = fread(header, 1, sizeof header - 1, file);
    header[length] = 0;
    fclose(file);
    char *faults = NULL;
    CHECK_STATUS(qmp_mock_faults_json(&faults, &error), QMP_OK);
    REQUIRE(faults != NULL);
    int count = 0;
    for (char *at = faults; (at = strstr(at, "\"fault\": \"")) != NULL; count++) {
        at += strlen("\"fault\": \"");
        char name[64] = "";
        sscanf(at, "%60[^\"]", name);
        CHECK_HAS(header, name);
    }
    CHECK(count > 50);
    qmp_string_free(faults);
}

static void *emit(void *mock)
{
    while (qmp_mock_emit(mock, "RTC_CHANGE", "{\"offset\": 1}", NULL) == QMP_OK)
        continue;
    return NULL;
}

static void stopping_races_with_everything(void)
{
    for (int round = rounds(200); round > 0; round--) {
        qmp_mock *mock = started(NULL);
        qmp_client *client = client_of(mock);
        pthread_t emitters[2];
        for (int at = 0; at < 2; at++)
            CHECK_INT(pthread_create(&emitters[at], NULL, emit, mock), 0);
        qmp_event *event = NULL;
        CHECK_STATUS(qmp_poll_event(client, PATIENCE_MS, NULL, &event, &error), QMP_OK);
        qmp_event_free(event);
        CHECK_STATUS(qmp_mock_stop(mock), QMP_OK);
        for (int at = 0; at < 2; at++)
            pthread_join(emitters[at], NULL);
        CHECK_STATUS(qmp_close(client), QMP_OK);
    }
}

static qmp_mock *parents;

static void start_in_the_child(void)
{
    CHECK_STATUS(qmp_mock_stop(parents), QMP_ERR_FORKED);
    qmp_mock *own = started(NULL);
    qmp_client *client = client_of(own);
    check_reply(client, "query-name", "{}");
    CHECK_STATUS(qmp_close(client), QMP_OK);
    CHECK_STATUS(qmp_mock_stop(own), QMP_OK);
}

static void a_child_has_its_own_mocks(void)
{
    parents = started(NULL);
    run_in_child(start_in_the_child);
    qmp_client *client = client_of(parents);
    check_reply(client, "query-name", "{}");
    CHECK_STATUS(qmp_close(client), QMP_OK);
    CHECK_STATUS(qmp_mock_stop(parents), QMP_OK);
}

/* Copies of its sockets in a child must not keep its clients waiting. */
static void stopping_ends_clients_whose_sockets_a_child_has(void)
{
    char name[64];
    snprintf(name, sizeof name, "abstract:libqmp-fork-%d", (int)getpid());
    qmp_mock *mock = started(name);
    qmp_client *client = client_of(mock), *next = NULL;
    pid_t child = fork();
    if (child == 0)
        for (;;)
            pause();
    qmp_event *event = NULL;
    CHECK_STATUS(qmp_mock_stop(mock), QMP_OK);
    CHECK_ERROR(qmp_poll_event(client, PATIENCE_MS, NULL, &event, &error), QMP_ERR_DISCONNECTED, error);
    CHECK_ERROR(qmp_connect(name, NULL, PATIENCE_MS, NULL, &next, &error), QMP_ERR_REFUSED, error);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
}

/* Nobody can be accepted: that costs no time, and is over when it is over. */
static void waits_for_a_descriptor(void)
{
    struct rlimit before, few;
    if (!memory_is_countable())
        SKIP("what watches the program may keep the limit of descriptors for itself");
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 64;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
    char *address = NULL;
    qmp_mock *mock = started(NULL);
    CHECK_STATUS(qmp_mock_address(mock, &address, &error), QMP_OK);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", address);
    int client = -1, filled[64], count = 0, greeted = 1;
    struct pollfd greeting = {.events = POLLIN};
    /* A thread may just now close the last that it had of the tests before: then once more. */
    for (int tries = 0; greeted && tries < 3; tries++) {
        if (client >= 0)
            close(client);
        REQUIRE((client = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
        while (count < 64 && (filled[count] = dup(client)) >= 0)
            count++;
        CHECK_INT(connect(client, (struct sockaddr *)&to, sizeof to), 0);
        greeting.fd = client;
        clock_t used = clock();
        greeted = poll(&greeting, 1, 2000);
        CHECK(clock() - used < CLOCKS_PER_SEC / 10); /* of the processor, whatever else runs */
    }
    CHECK_INT(greeted, 0);
    for (int at = 0; at < count; at++)
        close(filled[at]);
    CHECK_INT(poll(&greeting, 1, PATIENCE_MS), 1);
    close(client);
    qmp_string_free(address);
    CHECK_STATUS(qmp_mock_stop(mock), QMP_OK);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void finds_a_place_whatever_tmpdir_is(void)
{
    const char *found = getenv("TMPDIR");
    char *before = found ? strdup(found) : NULL, long_one[300] = "/tmp";
    while (strlen(long_one) < 200)
        strcat(long_one, "/.");
    const char *odd[] = {"", ".", "no/such", "/tmp/\xff", long_one};
    for (size_t at = 0; at < sizeof odd / sizeof *odd; at++) {
        setenv("TMPDIR", odd[at], 1);
        serves_at(NULL, "/tmp/libqmp-mock-");
    }
    setenv("TMPDIR", directory, 1);
    serves_at(NULL, directory);
    unsetenv("TMPDIR");
    if (before)
        setenv("TMPDIR", before, 1);
    free(before);
}

static void a_relative_path_becomes_absolute(void)
{
    char *here = getcwd(NULL, 0), path[200];
    struct stat file;
    REQUIRE(here != NULL && chdir(directory) == 0);
    qmp_mock *mock = started("unix:tcp:1");
    snprintf(path, sizeof path, "%s/tcp:1", directory);
    CHECK_INT(chdir(here), 0);
    qmp_client *client = client_of(mock);
    check_reply(client, "query-name", "{}");
    CHECK_STATUS(qmp_close(client), QMP_OK);
    CHECK_STATUS(qmp_mock_stop(mock), QMP_OK);
    CHECK(stat(path, &file) != 0);
    free(here);
}

int main(void)
{
    directory_make(directory, sizeof directory);
    RUN(listens_on_every_kind_of_address);
    RUN(refuses_an_address_that_it_cannot_have);
    RUN(stopping_ends_its_clients);
    RUN(says_what_it_is_told);
    RUN(the_header_names_every_fault);
    RUN(stopping_races_with_everything);
    RUN(a_child_has_its_own_mocks);
    RUN(stopping_ends_clients_whose_sockets_a_child_has);
    RUN(waits_for_a_descriptor);
    RUN(finds_a_place_whatever_tmpdir_is);
    RUN(a_relative_path_becomes_absolute);
    directory_remove(directory);
    return check_end();
}
