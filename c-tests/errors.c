/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An error says what was attempted, where and why, and never what was secret. */
#include "support/client.h"
#include "support/server.h"

#include <stdlib.h>
#include <string.h>

static atomic_bool heard;

static void refuse(peer *peer)
{
    char *command;
    if (!peer_greet(peer))
        return;
    while ((command = peer_hear(peer))) {
        if (is_command(command, "end")) {
            free(command);
            return;
        }
        if (is_command(command, "never"))
            atomic_store(&heard, true);
        else if (is_command(command, "odd"))
            peer_refuse(peer, command, "{\"class\": \"Future\\u00e4Class\", \"desc\": \"\"}");
        else if (is_command(command, "classless"))
            peer_refuse(peer, command, "{\"desc\": \"no class\"}");
        else if (is_command(command, "text"))
            peer_refuse(peer, command, "\"just text\"");
        else
            peer_refuse(peer, command, "{\"class\": \"DeviceNotFound\", \"desc\": \"Device 'x' not found\"}");
        free(command);
    }
}

static const char secret[] = "{\"password\":\"hunter2-secret\",\"other\":\"also-private\"}";

static qmp_error *run(qmp_client *client, const char *command, int64_t timeout_ms, qmp_status expected)
{
    qmp_error *error = NULL;
    char *reply = (char *)1;
    CHECK_STATUS(qmp_execute_json(client, command, secret, timeout_ms, NULL, &reply, &error), expected);
    CHECK(reply == NULL);
    if (CHECK(error != NULL)) {
        CHECK_STATUS(error->status, expected);
        CHECK_STR(error->command, command);
        CHECK_HAS(error->message, command);
        CHECK(!strstr(error->message, "hunter2") && !strstr(error->message, "private"));
    }
    return error;
}

static void f50_f110_what_the_machine_refuses(void)
{
    server *server = server_start(refuse);
    qmp_client *client = connect_to(server_address(server));
    REQUIRE(client);
    qmp_error *error = run(client, "device_del", PATIENCE_MS, QMP_ERR_COMMAND);
    REQUIRE(error);
    CHECK_STR(error->error_class, "DeviceNotFound");
    CHECK_STR(error->description, "Device 'x' not found");
    CHECK_HAS(error->message, "Device 'x' not found");
    CHECK(!error->outcome_unknown);
    CHECK_INT(error->os_errno, 0);
    qmp_error_free(error);

    error = run(client, "odd", PATIENCE_MS, QMP_ERR_COMMAND);
    REQUIRE(error);
    CHECK_STR(error->error_class, "Future\xc3\xa4" "Class");
    qmp_error_free(error);
    error = run(client, "classless", PATIENCE_MS, QMP_ERR_COMMAND);
    REQUIRE(error);
    CHECK(!error->error_class || !*error->error_class);
    CHECK_STR(error->description, "no class");
    qmp_error_free(error);
    qmp_error_free(run(client, "text", PATIENCE_MS, QMP_ERR_COMMAND));
    qmp_close(client);
    server_stop(server);
}

static void f29_f110_what_is_not_answered(void)
{
    server *server = server_start(refuse);
    qmp_client *client = connect_to(server_address(server));
    REQUIRE(client);
    qmp_error *error = run(client, "never", 1000, QMP_ERR_TIMEOUT);
    REQUIRE(error);
    CHECK(error->outcome_unknown);
    CHECK_HAS(error->message, "1000");
    CHECK_HAS(error->message, server_address(server) + strlen("unix:"));
    CHECK(atomic_load(&heard));
    qmp_error_free(error);

    error = run(client, "end", PATIENCE_MS, QMP_ERR_DISCONNECTED);
    REQUIRE(error);
    CHECK(error->outcome_unknown);
    CHECK_HAS(error->message, server_address(server) + strlen("unix:"));
    qmp_error_free(error);

    /* Nothing was sent this time, so its outcome is known. */
    error = run(client, "again", PATIENCE_MS, QMP_ERR_DISCONNECTED);
    REQUIRE(error);
    CHECK(!error->outcome_unknown);
    qmp_error_free(error);
    qmp_close(client);
    server_stop(server);
}

/* Not even as far as they could be read. */
static void f110_refused_arguments_are_not_repeated(void)
{
    const char *const broken[] = {
        "{\"password\":\"hunter2\"", "{\"password\":\"hunter2\"} x", "{\"password\":\"hunter2\\x\"}", "[\"hunter2\"]",
        "\"hunter2\"", "hunter2", "{\"password\":hunter2}", "{\"hunter2\":1,\"hunter2\":1}", "{\"password\":\"hunter2\xff\"}",
        "{\"password\":\"hunter2\\ud800\"}",
    };
    server *server = server_start(refuse);
    qmp_client *client = connect_to(server_address(server));
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        qmp_error *error = NULL;
        char *reply = NULL;
        qmp_status status = qmp_execute_json(client, "set_password", broken[i], PATIENCE_MS, NULL, &reply, &error);
        if (error && strstr(error->message, "hunter"))
            check_fail(__FILE__, __LINE__, "%s is repeated: %s", broken[i], error->message);
        CHECK_ERROR(status, QMP_ERR_INVALID_ARGUMENT, error);
    }
    qmp_close(client);
    server_stop(server);
}

static void every_status_has_a_name_and_a_text(void)
{
    const char *const names[] = {
        "QMP_OK", "QMP_ERR_INVALID_ARGUMENT", "QMP_ERR_INVALID_HANDLE", "QMP_ERR_NOT_FOUND", "QMP_ERR_PERMISSION",
        "QMP_ERR_REFUSED", "QMP_ERR_BUSY", "QMP_ERR_TIMEOUT", "QMP_ERR_CANCELLED", "QMP_ERR_CLOSED",
        "QMP_ERR_DISCONNECTED", "QMP_ERR_PROTOCOL", "QMP_ERR_TOO_LARGE", "QMP_ERR_COMMAND", "QMP_ERR_UNSUPPORTED",
        "QMP_ERR_RESOURCE", "QMP_ERR_FORKED", "QMP_ERR_IO", "QMP_ERR_INTERNAL",
    };
    for (int i = 0; i < 19; i++) {
        CHECK_STR(qmp_status_name(-i), names[i]);
        CHECK(qmp_status_text(-i) && *qmp_status_text(-i));
        for (int j = 0; j < i; j++)
            CHECK(strcmp(qmp_status_text(-i), qmp_status_text(-j)) != 0);
    }
    const qmp_status unknown[] = {1, -19, INT32_MAX, INT32_MIN};
    for (int i = 0; i < 4; i++) {
        CHECK(qmp_status_name(unknown[i]) && *qmp_status_name(unknown[i]));
        CHECK(qmp_status_text(unknown[i]) && *qmp_status_text(unknown[i]));
    }
}

static void the_version_is_one(void)
{
    CHECK_STR(qmp_version(), VERSION);
    unsigned major = 0, minor = 0, patch = 0;
    char *at = (char *)qmp_version();
    major = (unsigned)strtoul(at, &at, 10);
    minor = (unsigned)strtoul(at + 1, &at, 10);
    patch = (unsigned)strtoul(at + 1, &at, 10);
    CHECK_INT(qmp_version_number(), major << 16 | minor << 8 | patch);
}

int main(void)
{
    RUN(f50_f110_what_the_machine_refuses);
    RUN(f29_f110_what_is_not_answered);
    RUN(f110_refused_arguments_are_not_repeated);
    RUN(every_status_has_a_name_and_a_text);
    RUN(the_version_is_one);
    return check_end();
}
