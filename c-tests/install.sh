#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What `make install` lays down can be built against, shared and static, and taken away again.
root=$(mktemp -d) || exit 1
trap 'rm -rf "$root"' EXIT
lib=$root/usr/lib
run_make() { ${MAKE:-make} -s -C .. "$@" DESTDIR="$root" PREFIX=/usr; }

result() { # name, status
    if [ "$2" -eq 0 ]; then echo "ok $1"; else echo "FAIL $1"; fi
}

# Built and run: a program that includes the installed header and calls the installed library.
try() { # name, compiler flags…
    name=$1
    shift
    ${CC:-cc} header.c -o "$root/program" "$@" && LD_LIBRARY_PATH=$lib "$root/program"
    result "$name" $?
}

# A cargo that only fails proves that nothing is built again.
run_make install CARGO=false
result "installs without building" $?
files="include/qmp.h lib/libqmp.a lib/libqmp.so lib/libqmp.so.${VERSION%%.*} lib/libqmp.so.$VERSION lib/pkgconfig/qmp.pc"
[ "$(cd "$root/usr" && find . ! -type d | sort | cut -c3- | xargs)" = "$files" ]
result "lays these files and no others" $?
[ "$(readlink "$lib/libqmp.so")" = "libqmp.so.${VERSION%%.*}" ] &&
    [ "$(readlink "$lib/libqmp.so.${VERSION%%.*}")" = "libqmp.so.$VERSION" ]
result "links by SONAME" $?

if command -v pkg-config >/dev/null; then
    export PKG_CONFIG_SYSROOT_DIR="$root" PKG_CONFIG_LIBDIR="$lib/pkgconfig"
    export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
    [ "$(pkg-config --modversion qmp)" = "$VERSION" ]
    result "pkg-config knows the version" $?
    try "shared, through pkg-config" $(pkg-config --cflags --libs qmp)
    readelf -dW "$root/program" | grep -q "NEEDED.*\[libqmp.so.${VERSION%%.*}\]"
    result "asks for the SONAME" $?
    rm "$lib"/libqmp.so*
    try "static, through pkg-config" $(pkg-config --static --cflags --libs qmp)
    ! readelf -dW "$root/program" | grep libqmp
    result "asks for no library" $?
    try "all static, through pkg-config" -static $(pkg-config --static --cflags --libs qmp) 2>/dev/null
else
    echo "skip building against it: no pkg-config"
fi

run_make install CARGO=false && run_make uninstall && [ -z "$(find "$root/usr" ! -type d)" ]
result "uninstalls all of it" $?
