#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The library exports the functions of the header and nothing else, and is built as it should be.
header=$(mktemp) exported=$(mktemp)
trap 'rm -f "$header" "$exported"' EXIT

${CC:-cc} -E ../include/qmp.h | grep -o '\bqmp_[a-z0-9_]* *(' | tr -d ' (' | sort -u >"$header"
nm -D --defined-only "$LIBRARY" | awk '{ print $3 }' | sort -u >"$exported"

result() { # name, status
    if [ "$2" -eq 0 ]; then echo "ok $1"; else echo "FAIL $1"; fi
}

diff "$header" "$exported" && [ "$(wc -l <"$header")" -ge 24 ]
result "exported names are the header's" $?
dynamic=$(readelf -dW "$LIBRARY")
echo "$dynamic" | grep -q "SONAME.*\[libqmp.so.${VERSION%%.*}\]"
result "SONAME" $?
echo "$dynamic" | grep -q NODELETE
result "stays loaded" $?
! echo "$dynamic" | grep NEEDED | grep -vE '\[(libc\.so|libgcc_s\.so|libm\.so|ld-linux)'
result "needs only the C library" $?
