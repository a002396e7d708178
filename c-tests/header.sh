#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The header compiles alone, without a warning, in every dialect and with every compiler there is.
strict="-Wall -Wextra -Wpedantic -Werror -I../include"

compile() { # name, command…
    name=$1
    shift
    if "$@" $strict -fsyntax-only header.c; then echo "ok $name"; else echo "FAIL $name"; fi
}

for compiler in "${CC:-cc}" gcc clang; do
    command -v "$compiler" >/dev/null || continue
    case " $seen " in *" $compiler "*) continue ;; esac
    seen="$seen $compiler"
    for dialect in c99 c11; do
        compile "$compiler $dialect" "$compiler" -std=$dialect
    done
done
for compiler in g++ clang++; do
    command -v "$compiler" >/dev/null || continue
    compile "$compiler c++17" "$compiler" -std=c++17 -x c++
done
