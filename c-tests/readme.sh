#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The program in the README compiles as it is shown, and says so when there is no VM.
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT

sed -n '/^```c$/,/^```$/{/^```/!p}' ../README.md >"$directory/example.c"
ln -s "$LIBRARY" "$directory/libqmp.so.0"

result() { # name, status
    if [ "$2" -eq 0 ]; then echo "ok $1"; else echo "FAIL $1"; fi
}

for dialect in c99 c11; do
    ${CC:-cc} -std=$dialect -Wall -Wextra -Wpedantic -Werror -I../include -o "$directory/example" \
        "$directory/example.c" "$LIBRARY" -Wl,-rpath,"$directory"
    result "compiles as $dialect" $?
done
"$directory/example" "$directory/missing" 2>"$directory/said"
[ $? -eq 1 ] && grep -q "No such file" "$directory/said"
result "says what is wrong" $?
