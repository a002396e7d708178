// SPDX-License-Identifier: MIT OR Apache-2.0
#include "bench.h"


void require(qmp_status status, qmp_error *error)
{
    if (status != QMP_OK)
        die("%s: %s", qmp_status_name(status), error ? error->message : "");
}

void *library_open(const target *target)
{
    qmp_client *client;
    qmp_error *error = NULL;
    require(qmp_connect(target->path, NULL, TIMEOUT_MS, NULL, &client, &error), error);
    return client;
}

void library_close(void *client)
{
    require(qmp_close(client), NULL);
}

static char *execute(qmp_client *client, const char *command)
{
    char *reply;
    qmp_error *error = NULL;
    require(qmp_execute_json(client, command, NULL, TIMEOUT_MS, NULL, &reply, &error), error);
    return reply;
}

static void query_status(void *client)
{
    qmp_string_free(execute(client, "query-status"));
}

static void query_schema(void *client)
{
    qmp_string_free(execute(client, "query-qmp-schema"));
}

char *library_fetch_schema(const target *target)
{
    qmp_client *client = library_open(target);
    char *schema = execute(client, "query-qmp-schema");
    library_close(client);
    return schema;
}

const side library_status = { library_open, query_status, library_close };
const side library_schema = { library_open, query_schema, library_close };
