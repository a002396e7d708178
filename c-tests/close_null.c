/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Freeing or closing NULL is harmless. */
#include "support/client.h"

static void freeing_null_does_nothing(void)
{
    int before = count_descriptors();
    qmp_string_free(NULL);
    qmp_error_free(NULL);
    qmp_event_free(NULL);
    qmp_cancel_free(NULL);
    qmp_options_free(NULL);
    CHECK_INT(count_descriptors(), before);
}

static void closing_null_is_told(void)
{
    CHECK_STATUS(qmp_close(NULL), NULL_HANDLE);
}

int main(void)
{
    RUN(freeing_null_does_nothing);
    RUN(closing_null_is_told);
    return check_end();
}
