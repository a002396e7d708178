/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Who listens can be asked, and demanded: a stranger is sent not one byte. */
#include "support/client.h"
#include "support/server.h"
#include "support/vm.h"

#include <unistd.h>

static qmp_status connect_expecting(const char *address, int64_t pid, int64_t uid, qmp_error **error)
{
    qmp_client *client = NULL;
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_expected_peer(options, pid, uid), QMP_OK);
    CHECK_STATUS(qmp_options_set_wait_for_socket(options, true), QMP_OK);
    qmp_status status = qmp_connect(address, options, PATIENCE_MS, NULL, &client, error);
    CHECK((status == QMP_OK) == (client != NULL));
    if (client)
        CHECK_STATUS(execute(client, "query-status"), QMP_OK);
    qmp_close(client);
    qmp_options_free(options);
    return status;
}

static void who_listens(void)
{
    server *server = server_start(serve_plainly);
    qmp_client *client = connect_to(server_address(server));
    int32_t pid = 0;
    uint32_t uid = 77;
    CHECK_STATUS(qmp_peer(client, &pid, &uid, NULL), QMP_OK);
    CHECK_INT(pid, getpid());
    CHECK_INT(uid, getuid());
    qmp_close(client);
    server_stop(server);
}

static void f14_a_real_qemu_is_known_by_its_pid(void)
{
    NEED_QEMU();
    vm *vm = vm_start(NULL, NULL);
    qmp_client *client = connect_to(vm_address(vm));
    qmp_error *error = NULL;
    int32_t pid = 0;
    uint32_t uid = 77;
    CHECK_STATUS(qmp_peer(client, &pid, &uid, NULL), QMP_OK);
    CHECK_INT(pid, vm_pid(vm));
    CHECK_INT(uid, getuid());
    qmp_close(client);
    CHECK_STATUS(connect_expecting(vm_address(vm), vm_pid(vm), getuid(), NULL), QMP_OK);
    CHECK_ERROR(connect_expecting(vm_address(vm), getpid(), -1, &error), QMP_ERR_PERMISSION, error);
    CHECK_STATUS(connect_expecting(vm_address(vm), vm_pid(vm), -1, NULL), QMP_OK);
    vm_stop(vm);
}

static void f14_a_stranger_hears_nothing(void)
{
    server *server = server_start(serve_plainly);
    qmp_error *error = NULL;
    CHECK_ERROR(connect_expecting(server_address(server), getpid() + 1, -1, &error), QMP_ERR_PERMISSION, error);
    CHECK_ERROR(connect_expecting(server_address(server), -1, getuid() + 1, &error), QMP_ERR_PERMISSION, error);
    CHECK_ERROR(connect_expecting(server_address(server), getpid(), getuid() + 1, &error), QMP_ERR_PERMISSION, error);
    CHECK_SOON(server_clients(server) == 3 && server_open(server) == 0);
    CHECK_INT(server_heard(server), 0);
    CHECK_STATUS(connect_expecting(server_address(server), getpid(), getuid(), NULL), QMP_OK);
    CHECK_STATUS(connect_expecting(server_address(server), -1, -1, NULL), QMP_OK);
    server_stop(server);
}

static void only_a_unix_socket_tells(void)
{
    server *server = server_start_tcp(serve_plainly);
    qmp_client *client = connect_to(server_address(server));
    qmp_error *error = NULL;
    int32_t pid = 77;
    uint32_t uid = 77;
    CHECK_ERROR(qmp_peer(client, &pid, &uid, &error), QMP_ERR_UNSUPPORTED, error);
    CHECK(pid == 0 && uid == 0);
    size_t heard = server_heard(server);
    CHECK_ERROR(connect_expecting(server_address(server), getpid(), -1, &error), QMP_ERR_UNSUPPORTED, error);
    CHECK_INT(server_heard(server), heard);
    qmp_close(client);
    server_stop(server);
}

static void who_cannot_be_is_refused(void)
{
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_options_set_expected_peer(options, 0, -1), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_options_set_expected_peer(options, -2, -1), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_options_set_expected_peer(options, 1LL << 40, -1), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_options_set_expected_peer(options, -1, -2), QMP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(qmp_options_set_expected_peer(options, -1, 1LL << 40), QMP_ERR_INVALID_ARGUMENT);
    qmp_options_free(options);
}

int main(void)
{
    RUN(who_listens);
    RUN(f14_a_real_qemu_is_known_by_its_pid);
    RUN(f14_a_stranger_hears_nothing);
    RUN(only_a_unix_socket_tells);
    RUN(who_cannot_be_is_refused);
    return check_end();
}
