/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* In a program with more rights than its user the library does not heed the environment. */
#include "support/client.h"
#include "support/directory.h"
#include "support/server.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SOMEBODY = 61234, PLAIN = 10, SECURE = 20 };

/* As the host: what kind of program it is, or 1. */
static int be_the_host(const char *address)
{
    qmp_client *client = connect_to(address);
    bool fine = client && execute(client, "stop") == QMP_OK && qmp_close(client) == QMP_OK;
    return !fine ? 1 : getauxval(AT_SECURE) ? SECURE : PLAIN;
}

static void copy_program(const char *to, mode_t mode)
{
    struct stat program;
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), copy = open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(from >= 0 && copy >= 0 && fstat(from, &program) == 0);
    for (off_t at = 0; at < program.st_size;)
        if (sendfile(copy, from, &at, (size_t)(program.st_size - at)) <= 0)
            break;
    CHECK_INT(lseek(copy, 0, SEEK_CUR), program.st_size);
    CHECK_INT(fchmod(copy, mode), 0);
    close(from);
    close(copy);
}

static int count_files(const char *path)
{
    int count = -2; /* "." and ".." */
    DIR *directory = opendir(path);
    while (directory && readdir(directory))
        count++;
    if (directory)
        closedir(directory);
    return count;
}

/* Runs the program as somebody who asks for recordings in the directory. */
static int run_as_somebody(const char *program, const char *address, const char *recordings)
{
    int status = 0;
    char record[128];
    snprintf(record, sizeof record, "QMP_RECORD=%s", recordings);
    pid_t child = fork();
    if (child == 0) {
        char *const arguments[] = {"host", "host", (char *)address, NULL}, *const environment[] = {record, "RUST_BACKTRACE=full", NULL};
        if (setgid(SOMEBODY) == 0 && setuid(SOMEBODY) == 0)
            execve(program, arguments, environment);
        _exit(127);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool header_knows(const char *word)
{
    char line[512];
    bool found = false;
    FILE *header = fopen(HEADER, "r");
    while (header && !found && fgets(line, sizeof line, header))
        found = strstr(line, word) != NULL;
    if (header)
        fclose(header);
    return found;
}

static void compare_hosts(const char *directory, const char *recordings, const char *address)
{
    char plain[96], secure[96];
    snprintf(plain, sizeof plain, "%s/plain", directory);
    snprintf(secure, sizeof secure, "%s/secure", directory);
    copy_program(plain, 0755);
    copy_program(secure, 04755);
    int kind = run_as_somebody(secure, address, recordings);
    if (kind == PLAIN)
        SKIP("the file system does not let programs set their user");
    CHECK_INT(kind, SECURE);
    CHECK_INT(count_files(recordings), 0);
    /* The same program without more rights is recorded, if the library can record at all. */
    CHECK_INT(run_as_somebody(plain, address, recordings), PLAIN);
    CHECK_INT(count_files(recordings), header_knows("QMP_RECORD") ? 1 : 0);
}

static void f109_the_environment_of_a_setuid_host_is_ignored(void)
{
    char directory[64], recordings[64];
    if (geteuid() != 0)
        SKIP("only root can make such a program");
    directory_make(directory, sizeof directory);
    directory_make(recordings, sizeof recordings);
    server *server = server_start(serve_plainly);
    CHECK_INT(chmod(directory, 0711), 0);
    CHECK_INT(chmod(recordings, 0777), 0);
    CHECK_INT(chmod(server_directory(server), 0711), 0);
    CHECK_INT(chmod(server_address(server) + strlen("unix:"), 0666), 0);
    compare_hosts(directory, recordings, server_address(server));
    server_stop(server);
    directory_remove(directory);
    directory_remove(recordings);
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "host") == 0)
        return be_the_host(argv[2]);
    RUN(f109_the_environment_of_a_setuid_host_is_ignored);
    return check_end();
}
