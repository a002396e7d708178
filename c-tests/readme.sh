#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What the README shows in C compiles as it is shown: the program, which says so when there is no VM, and pieces of one, which
# are shown without what stands around them.
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT

awk -v directory="$directory" '
    /^```c$/ { file = directory "/example" ++count ".c"; next }
    /^```$/ { file = ""; next }
    file { print > file }' ../README.md
ln -s "$LIBRARY" "$directory/libqmp.so.0"

result() { # name, status
    if [ "$2" -eq 0 ]; then echo "ok $1"; else echo "FAIL $1"; fi
}

for file in "$directory"/example*.c; do
    number=${file##*example}
    if ! grep -q '^int main' "$file"; then
        {
            printf '#include <qmp.h>\n#include <poll.h>\n#include <stdio.h>\n'
            # A function stands first where there is one.
            sed -n '/^static /,/^}/p' "$file"
            printf 'int main(void)\n{\nqmp_client *vm = NULL;\nqmp_error *error = NULL;\n(void)vm, (void)error;\n{\n'
            sed '/^static /,/^}/d' "$file"
            printf '}\nreturn 0;\n}\n'
        } >"$file.whole.c"
        file=$file.whole.c
    fi
    for dialect in c99 c11; do
        ${CC:-cc} -std=$dialect -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wpedantic -Werror -I../include -o "$directory/${number%.c}" \
            "$file" "$LIBRARY" -Wl,-rpath,"$directory"
        result "example ${number%.c} compiles as $dialect" $?
    done
done
"$directory/1" "$directory/missing" 2>"$directory/said"
[ $? -eq 1 ] && grep -q "No such file" "$directory/said"
result "says what is wrong" $?
