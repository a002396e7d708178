/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A VM in GLib's main loop: cc loop_glib.c $(pkg-config --cflags --libs glib-2.0) -lqmp. Prints events until the VM ends. */
#include <glib-unix.h>
#include <qmp.h>
#include <stdio.h>

static GMainLoop *loop;

static gboolean ready(gint fd, GIOCondition condition, gpointer vm)
{
    (void)fd, (void)condition;
    qmp_event *event;
    qmp_status status = qmp_process(vm, NULL);
    while (qmp_poll_event(vm, 0, NULL, &event, NULL) == QMP_OK) {
        puts(event->name);
        qmp_event_free(event);
    }
    if (status != QMP_ERR_DISCONNECTED)
        return G_SOURCE_CONTINUE;
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
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
    qmp_fd(vm, &fd, NULL);
    loop = g_main_loop_new(NULL, FALSE);
    g_unix_fd_add(fd, G_IO_IN, ready, vm);
    puts("watching");
    fflush(stdout);
    g_main_loop_run(loop);
    g_main_loop_unref(loop);
    qmp_close(vm);
    qmp_options_free(options);
    return 0;
}
