/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every function of qmp.h that takes a pointer, callable with any of its arguments exchanged. */
#ifndef FUNCTIONS_H
#define FUNCTIONS_H

#include "client.h"

enum { MOST_PARAMETERS = 12 };

/* One handle of each kind, and an address that a server listens at. */
struct handles {
    const char *address;
    qmp_client *client;
    qmp_client *driven; /* by the caller's loop */
    qmp_options *options;
    qmp_cancel *cancel;
    qmp_subscription *subscription; /* of the client, with an event in it */
    qmp_request *request;
    qmp_batch *batch; /* a request of it is answered */
    qmp_mock *mock; /* plays a transcript without requests */
};

struct handle_kind {
    const char *type;
    size_t offset; /* in struct handles */
};
extern const struct handle_kind *const handle_kinds[]; /* up to a NULL */
void *handle_of(const struct handles *handles, const struct handle_kind *kind);

struct call {
    const struct function *function;
    unsigned exchanged; /* parameters that get `with` instead of what is sound, as bits */
    void *with;
    qmp_status status;
};

struct function {
    const char *name;
    void (*call)(struct call *call);
    bool returns_status;
    int count;
    struct {
        const char *name;
        bool is_pointer;
        bool may_be_null;
        const struct handle_kind *handle; /* or NULL */
    } parameters[MOST_PARAMETERS];
};
extern const struct function functions[]; /* up to one without a name; made by functions.awk */

/* Arguments with which every function succeeds. */
extern struct handles sound;
void sound_start(void);
void sound_free(void);
void sound_renew(void); /* fresh handles, after calls that used the others up */
void sound_check(void); /* the handles still work */
void sound_stop(void);
size_t sound_heard(void); /* bytes sent to the server */

/* Calls, and checks status, error and cleared outputs. A free function has no status. */
void expect(const struct function *function, unsigned exchanged, void *with, qmp_status expected);

/* For the generated file alone. */
#define JUNK 1
#define EXCHANGED(i) (call->exchanged >> (i) & 1u)
#define WITH(i, value) (EXCHANGED(i) ? call->with : (value))
#define FUNCTION(i, value) (EXCHANGED(i) ? NULL : (value))
#define GAVE(i) (call->status == QMP_OK && !EXCHANGED(i))
#define CLEARED(i, output) call_output(call, (i), (output) == 0)
void call_output(struct call *call, int parameter, bool cleared);
void call_error(struct call *call, int parameter, qmp_error *error);
const char *sound_path(void);
const char *sound_place(void); /* whoever listens there is connected to */
char *sound_string(void);
qmp_error *sound_error(void);
qmp_event *sound_event(void);
void ignore_line(void *user_data, int32_t level, const char *message);
void ignore_event(void *user_data, const qmp_event *event);
void ignore_reply(void *user_data, qmp_status status, const char *reply_json, const qmp_error *error);
void ignore_late_reply(void *user_data, const char *command, qmp_status status, const char *reply_json, const qmp_error *error);
void ignore_data(void *user_data);
int sound_descriptor(void);

#endif
