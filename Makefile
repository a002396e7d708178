# SPDX-License-Identifier: MIT OR Apache-2.0

PREFIX = /usr/local
LIBDIR = $(PREFIX)/lib
INCLUDEDIR = $(PREFIX)/include
PKGCONFIGDIR = $(LIBDIR)/pkgconfig
CARGO = cargo
INSTALL = install
# --no-default-features leaves the mock VM out.
FEATURES =
QEMU = qemu-system-x86_64
SOAK_SECONDS = 10

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
SOVERSION := $(firstword $(subst ., ,$(VERSION)))
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
LIBRARY := $(TARGET)/release/libqmp.so
SOURCES := $(shell find src -name '*.rs') Cargo.toml Cargo.lock build.rs
export CARGO QEMU

.PHONY: all check soak model demo bench fuzz fuzz-long miri tsan header guest install uninstall clean

all: $(LIBRARY)

# A file target, so that `make install` as another user does not build again.
$(LIBRARY): $(SOURCES)
	$(CARGO) rustc --release --lib --crate-type cdylib,staticlib $(FEATURES)
	@touch $@

check: all guest
	@tests/run
	$(MAKE) -C c-tests check

# What takes longer than a check may: floods of SOAK_SECONDS each, and the threaded tests again and again.
soak: all guest
	$(MAKE) -C c-tests soak SOAK_SECONDS=$(SOAK_SECONDS)

# The reader role, the slots and the close under a checker that chooses who runs next. Settings, in
# the environment: src/client/model/mod.rs. SCENARIO=f89 runs those whose names begin so.
model:
	RUSTFLAGS="$$RUSTFLAGS --cfg model" CARGO_PROFILE_TEST_OPT_LEVEL=2 CARGO_TARGET_DIR=$(TARGET)/model \
	    $(CARGO) test --lib client::model::scenarios::$(SCENARIO)

demo: all guest
	@TARGET=$(TARGET) examples/c/demo.sh

bench:
	$(MAKE) -C benches run

# For a fixed number of runs, or for FUZZ_SECONDS each.
fuzz:
	$(MAKE) -C fuzz run

fuzz-long:
	$(MAKE) -C fuzz long

# Undefined behaviour, in the rooms and system calls that Miri can follow, and without what is large. Needs nightly Rust with miri.
MIRI_TESTS = wire:: session:: ffi:: sys::fork sys::futex sys::text
MIRI_SKIPS = bounded linear large limits depth long schema never_answered

miri:
	MIRIFLAGS=-Zmiri-disable-isolation $(CARGO) +nightly miri test --lib -- $(MIRI_TESTS) $(MIRI_SKIPS:%=--skip %)

# Data races. Needs nightly Rust with rust-src, and clang.
tsan: guest
	$(MAKE) -C c-tests SANITIZE=thread

header:
	UPDATE_HEADER=1 $(CARGO) test --test header

# Guests are of no use without QEMU, and need an assembler for x86.
guest:
	@if command -v $(QEMU) >/dev/null; then $(MAKE) -s -C tests/guest OUT=$(TARGET)/guest; fi

install: all
	$(INSTALL) -d $(DESTDIR)$(LIBDIR) $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(PKGCONFIGDIR)
	$(INSTALL) -m 755 $(LIBRARY) $(DESTDIR)$(LIBDIR)/libqmp.so.$(VERSION)
	ln -sf libqmp.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libqmp.so.$(SOVERSION)
	ln -sf libqmp.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libqmp.so
	$(INSTALL) -m 644 $(LIBRARY:.so=.a) $(DESTDIR)$(LIBDIR)/libqmp.a
	$(INSTALL) -m 644 include/qmp.h $(DESTDIR)$(INCLUDEDIR)/qmp.h
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
	    -e 's|@VERSION@|$(VERSION)|' qmp.pc.in > $(DESTDIR)$(PKGCONFIGDIR)/qmp.pc
	chmod 644 $(DESTDIR)$(PKGCONFIGDIR)/qmp.pc

uninstall:
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/libqmp.,so.$(VERSION) so.$(SOVERSION) so a) \
	    $(DESTDIR)$(INCLUDEDIR)/qmp.h $(DESTDIR)$(PKGCONFIGDIR)/qmp.pc

clean:
	$(CARGO) clean
