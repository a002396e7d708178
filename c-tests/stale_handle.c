/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A handle that is freed, of another kind or made up is refused, by every function of the header. */
#include "support/functions.h"

/* Every function, with this for each of its handles, is refused and does no harm. */
static void refuse(void *handle, const struct handle_kind *but)
{
    for (const struct function *function = functions; function->name; function++)
        for (int i = 0; i < function->count; i++)
            if (function->parameters[i].handle && function->parameters[i].handle != but)
                expect(function, 1u << i, handle, QMP_ERR_INVALID_HANDLE);
}

static void f90_garbage_for_every_handle(void)
{
    static char memory[64];
    const uintptr_t values[] = {1, 2, 0xdeadbeef, 0x100000001, UINTPTR_MAX, UINTPTR_MAX - 1, 1ULL << 63, (uintptr_t)memory};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        refuse((void *)values[i], NULL);
    sound_check();
}

static void f90_every_other_kind_for_every_handle(void)
{
    for (int i = 0; handle_kinds[i]; i++) {
        refuse(handle_of(&sound, handle_kinds[i]), handle_kinds[i]);
        sound_check(); /* that touched none of the handles */
    }
}

static void f90_a_freed_one_for_every_handle(void)
{
    struct handles freed = sound;
    sound_free();
    sound_renew();
    /* The new ones took the places of the old ones. */
    for (int i = 0; handle_kinds[i]; i++) {
        CHECK(handle_of(&freed, handle_kinds[i]) != handle_of(&sound, handle_kinds[i]));
        refuse(handle_of(&freed, handle_kinds[i]), NULL);
    }
    sound_check();
}

static void f90_options_and_cancel_may_go_before_the_client(void)
{
    qmp_client *client = NULL;
    qmp_cancel *cancel = qmp_cancel_new();
    qmp_options *options = qmp_options_new();
    CHECK_STATUS(qmp_connect(sound.address, options, PATIENCE_MS, cancel, &client, NULL), QMP_OK);
    qmp_options_free(options);
    CHECK_STATUS(qmp_cancel_trigger(cancel), QMP_OK);
    qmp_cancel_free(cancel);
    CHECK_STATUS(execute(client, "stop"), QMP_OK);
    CHECK_STATUS(qmp_close(client), QMP_OK);
    CHECK_STATUS(qmp_close(client), QMP_ERR_INVALID_HANDLE);
}

int main(void)
{
    sound_start();
    RUN(f90_garbage_for_every_handle);
    RUN(f90_every_other_kind_for_every_handle);
    RUN(f90_a_freed_one_for_every_handle);
    RUN(f90_options_and_cancel_may_go_before_the_client);
    sound_stop();
    return check_end();
}
