/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Loaded, used, unloaded and loaded again, as interpreters do. Not linked with the library. */
#include "support/check.h"
#include "support/server.h"

#include <dlfcn.h>
#include <qmp.h>

/* ISO C knows no cast from an object pointer to a function. */
#define LOOK_UP(name)                                                                                  do {                                                                                                   *(void **)&name##_ = dlsym(library, #name);                                                        REQUIRE(name##_ != NULL);                                                                      } while (0)

static qmp_status (*qmp_connect_)(const char *, const qmp_options *, int64_t, qmp_cancel *, qmp_client **, qmp_error **);
static qmp_status (*qmp_execute_json_)(qmp_client *, const char *, const char *, int64_t, qmp_cancel *, char **, qmp_error **);
static qmp_status (*qmp_close_)(qmp_client *);
static void (*qmp_string_free_)(char *);

static void f108_a_hundred_times(void)
{
    server *server = server_start(serve_plainly);
    for (int i = 0; i < rounds(100); i++) {
        void *library = dlopen(LIBQMP, RTLD_NOW | RTLD_LOCAL);
        if (!library)
            check_fail(__FILE__, __LINE__, "%s", dlerror());
        REQUIRE(library);
        LOOK_UP(qmp_connect);
        LOOK_UP(qmp_execute_json);
        LOOK_UP(qmp_close);
        LOOK_UP(qmp_string_free);
        qmp_client *client = NULL;
        char *reply = NULL;
        CHECK_INT(qmp_connect_(server_address(server), NULL, PATIENCE_MS, NULL, &client, NULL), QMP_OK);
        CHECK_INT(qmp_execute_json_(client, "stop", NULL, PATIENCE_MS, NULL, &reply, NULL), QMP_OK);
        CHECK_STR(reply, "{}");
        qmp_string_free_(reply);
        /* Every second time the connection outlives the handle of the library. */
        if (i % 2 == 0)
            CHECK_INT(qmp_close_(client), QMP_OK);
        CHECK_INT(dlclose(library), 0);
        if (i % 2 == 1)
            CHECK_INT(qmp_close_(client), QMP_OK);
    }
    server_stop(server);
}

int main(void)
{
    RUN(f108_a_hundred_times);
    return check_end();
}
