/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A VM in libuv's loop: cc loop_libuv.c $(pkg-config --cflags --libs libuv) -lqmp. Prints events until the VM ends. */
#include <qmp.h>
#include <stdio.h>
#include <uv.h>

static void ready(uv_poll_t *watcher, int status, int events)
{
    (void)status, (void)events;
    qmp_event *event;
    qmp_client *vm = watcher->data;
    qmp_status processed = qmp_process(vm, NULL);
    while (qmp_poll_event(vm, 0, NULL, &event, NULL) == QMP_OK) {
        puts(event->name);
        qmp_event_free(event);
    }
    if (processed == QMP_ERR_DISCONNECTED)
        uv_poll_stop(watcher);
}

int main(int argc, char **argv)
{
    qmp_client *vm;
    qmp_error *error = NULL;
    qmp_options *options = qmp_options_new();
    qmp_options_set_own_loop(options, true);
    if (qmp_connect(argc > 1 ? argv[1] : "vm.sock", options, 5000, NULL, &vm, &error) != QMP_OK) {
        fprintf(stderr, "%s\n", error->message);
        return 1;
    }
    int fd;
    uv_poll_t watcher;
    qmp_fd(vm, &fd, NULL);
    uv_poll_init(uv_default_loop(), &watcher, fd);
    watcher.data = vm;
    uv_poll_start(&watcher, UV_READABLE, ready);
    puts("watching");
    fflush(stdout);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    qmp_close(vm);
    qmp_options_free(options);
    return 0;
}
