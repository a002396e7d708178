#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The README's first program compiles as shown, and says what is wrong with a wrong address.
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
ln -s "$LIBRARY" "$directory/libqmp.so.${VERSION%%.*}"

result() { # name, status
    if [ "$2" -eq 0 ]; then echo "ok $1"; else echo "FAIL $1"; fi
}

awk '/^```c$/ { inside = 1; next } /^```$/ && inside { exit } inside' ../README.md >"$directory/readme.c"
[ "$(wc -l <"$directory/readme.c")" -ge 20 ] &&
    ${CC:-cc} -std=c99 -Wall -Wextra -Wpedantic -Werror -I../include -o "$directory/readme" "$directory/readme.c" \
        "$LIBRARY" -Wl,-rpath,"$directory"
result "the README's program compiles as shown" $?
said=$("$directory/readme" /nowhere/at/all 2>&1)
[ $? -ne 0 ] && echo "$said" | grep -q /nowhere/at/all
result "the README's program tells what is wrong" $?
