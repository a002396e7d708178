/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* NULL for each pointer of each function of the header is refused, or allowed where the header says so. */
#include "support/functions.h"

static void f91_null_in_every_argument_of_every_function(void)
{
    for (const struct function *function = functions; function->name; function++) {
        /* Sound arguments succeed: what fails below fails for its NULL alone. */
        expect(function, 0, NULL, QMP_OK);
        sound_renew();
        for (int i = 0; i < function->count; i++)
            if (function->parameters[i].is_pointer) {
                bool allowed = function->parameters[i].may_be_null;
                expect(function, 1u << i, NULL, allowed ? QMP_OK : QMP_ERR_INVALID_ARGUMENT);
                if (allowed)
                    sound_renew();
            }
        sound_check();
        sound_renew();
    }
}

static void f91_null_in_all_arguments_at_once(void)
{
    for (const struct function *function = functions; function->name; function++) {
        unsigned pointers = 0, optional = 0;
        for (int i = 0; i < function->count; i++) {
            pointers |= (unsigned)function->parameters[i].is_pointer << i;
            optional |= (unsigned)function->parameters[i].may_be_null << i;
        }
        expect(function, pointers, NULL, QMP_ERR_INVALID_ARGUMENT);
        expect(function, optional, NULL, QMP_OK);
        sound_renew();
        for (int i = 0; i < function->count; i++)
            if ((pointers & ~optional) >> i & 1)
                expect(function, optional | 1u << i, NULL, QMP_ERR_INVALID_ARGUMENT);
    }
}

int main(void)
{
    sound_start();
    RUN(f91_null_in_every_argument_of_every_function);
    RUN(f91_null_in_all_arguments_at_once);
    sound_stop();
    return check_end();
}
