#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The example for testing one's own program compiles as it is, is short, and passes.
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
source=../examples/c/test_your_manager.c
ln -s "$LIBRARY" "$directory/libqmp.so.0"

result() { # name, status
    if [ "$2" -eq 0 ]; then echo "ok $1"; else echo "FAIL $1"; fi
}

for dialect in c99 c11; do
    ${CC:-cc} -std=$dialect -Wall -Wextra -Wpedantic -Werror -I../include -o "$directory/example" "$source" "$LIBRARY" \
        -Wl,-rpath,"$directory"
    result "compiles as $dialect" $?
done
"$directory/example"
result "passes" $?
[ "$(wc -l <"$source")" -lt 60 ]
result "has under 60 lines" $?
