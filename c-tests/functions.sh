#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What functions.awk has no rule for it refuses, so that no function of the header goes untested.
header=$(mktemp) message=$(mktemp)
trap 'rm -f "$header" "$message"' EXIT

refuses() { # what is wrong, lines of a header, words of the message
    printf '%s\n' "typedef struct qmp_client qmp_client;" "$2" >"$header"
    if awk -f functions.awk "$header" >/dev/null 2>"$message"; then
        echo "FAIL f91 $1 is accepted"
    elif grep -q "$3" "$message"; then
        echo "ok f91 $1 is refused"
    else
        cat "$message"
        echo "FAIL f91 $1 is refused for another reason"
    fi
}

refuses "an unknown type" "qmp_status qmp_new(qmp_client *client, long double *depth);" 'no sound value for "long double \*depth" of qmp_new'
refuses "an unknown input" "qmp_status qmp_new(qmp_client *client, const char *colour);" 'no sound value for "const char \*colour"'
refuses "an unknown number" "qmp_status qmp_new(qmp_client *client, uint64_t depth);" 'no sound value for "uint64_t depth"'
refuses "an unknown function pointer" "qmp_status qmp_new(qmp_client *client, void (*done)(int));" 'no sound value for "void (\*done)(int)"'
refuses "an unknown result" "long qmp_new(qmp_client *client);" "returns long"
refuses "silence about NULL" "/** Frees it. */
void qmp_client_free(qmp_client *client);" "does not say that NULL does nothing"
refuses "an unfinished header" "qmp_status qmp_new(qmp_client *client" "not understood"

# No function with a pointer among its parameters is left out.
generated=$(awk -f functions.awk ../include/qmp.h | sed -n 's/^    {"\(qmp_[a-z0-9_]*\)", call_.*/\1/p' | sort)
wanted=$(${CC:-cc} -E -P ../include/qmp.h | tr '\n' ' ' | tr ';' '\n' |
    sed -n 's/.*\(qmp_[a-z0-9_]*\) *([^)]*\*.*/\1/p' | grep -v '_fn$' | sort)
if [ -n "$wanted" ] && [ "$generated" = "$wanted" ]; then
    echo "ok f91 every function with a pointer is called"
else
    echo "FAIL f91 functions of the header are missing"
fi
