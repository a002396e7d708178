#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Runs the demo on a real QEMU whose guest is one boot sector, or on the mock where QEMU is missing.
set -eu
cd "$(dirname "$0")/../.."
: "${TARGET:=$PWD/target}" "${QEMU:=qemu-system-x86_64}" "${CARGO:=cargo}"

directory=$(mktemp -d)
vm=
finish() {
    exec 3>&-
    [ -z "$vm" ] || kill "$vm" 2>/dev/null || true
    rm -rf "$directory"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Programs ask for the library by its SONAME.
ln -s "$TARGET/release/libqmp.so" "$directory/libqmp.so.0"
${CC:-cc} -std=c99 -Wall -Wextra -Iinclude -o "$directory/demo" examples/c/demo.c \
    "$TARGET/release/libqmp.so" -Wl,-rpath,"$directory"

if command -v "$QEMU" >/dev/null; then
    "$QEMU" -M pc -accel tcg -m 32 -nodefaults -display none -qmp "unix:$directory/qmp,server=on,wait=off" \
        -drive "file=$TARGET/guest/honours.img,format=raw,if=ide,snapshot=on" &
    vm=$!
else
    echo "No $QEMU here: the same on the mock."
    "$CARGO" build -q --example mock
    # The mock ends with its standard input, which is ours to close.
    mkfifo "$directory/stdin"
    "$TARGET/debug/examples/mock" "$directory/qmp" <"$directory/stdin" &
    vm=$!
    exec 3>"$directory/stdin"
fi
"$directory/demo" "$directory/qmp"
