/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A VM in a loop of one's own, by plain epoll: cc loop_epoll.c -lqmp && ./a.out vm.sock. Prints events until the VM ends. */
#include <qmp.h>
#include <stdio.h>
#include <sys/epoll.h>

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
    int fd, loop = epoll_create1(EPOLL_CLOEXEC);
    qmp_fd(vm, &fd, NULL);
    epoll_ctl(loop, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN});
    puts("watching");
    fflush(stdout);
    qmp_status status = QMP_OK;
    while (status != QMP_ERR_DISCONNECTED) {
        qmp_event *event;
        epoll_wait(loop, &(struct epoll_event){0}, 1, -1);
        status = qmp_process(vm, NULL);
        while (qmp_poll_event(vm, 0, NULL, &event, NULL) == QMP_OK) {
            puts(event->name);
            qmp_event_free(event);
        }
    }
    qmp_close(vm);
    qmp_options_free(options);
    return 0;
}
