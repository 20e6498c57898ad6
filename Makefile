# SPDX-License-Identifier: Apache-2.0
#
# Byway: `make deps` once, then `make`, `make run`, `make test`. `make help` lists the rest.
#
#   FLAVOUR=release|san   -O2 with hardening (default) or ASan + UBSan
#   TLS=mbedtls|openssl   the library behind wire/tls.h and wire/crypto.h (default mbedtls)
#   CC=clang              objects go into a folder of their own
#   V=1                   show the commands
#   prefix, DESTDIR       for install

MAKEFLAGS += --no-builtin-rules --no-builtin-variables --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:

ifneq ($(filter default undefined,$(origin CC)),)
CC := gcc
endif
FLAVOUR ?= release
TLS     ?= mbedtls
ifeq ($(filter mbedtls openssl,$(TLS)),)
$(error TLS is '$(TLS)'; it must be mbedtls or openssl)
endif
# build/FLAVOUR, build/FLAVOUR-openssl; what tests run is SAN and FUZZED.
WITH    := $(if $(filter openssl,$(TLS)),-openssl)
SAN     := build/san$(WITH)
FUZZED  := build/fuzz$(WITH)-clang
BUILD   := build/$(FLAVOUR)$(WITH)$(if $(findstring clang,$(notdir $(CC))),-clang)
V       ?= 0
Q       := $(if $(filter 0,$(V)),@)
say      = $(if $(filter 0,$(V)),@printf '  %-5s %s\n' $(1) $(2))

prefix     ?= /usr/local
sbindir    ?= $(prefix)/sbin
bindir     ?= $(prefix)/bin
mandir     ?= $(prefix)/share/man
docdir     ?= $(prefix)/share/doc/byway
unitdir    ?= $(prefix)/lib/systemd/system
sharedir   ?= $(prefix)/share/byway
usersdir   ?= $(prefix)/lib/sysusers.d
tmpfilesdir ?= $(prefix)/lib/tmpfiles.d
bashdir    ?= $(prefix)/share/bash-completion/completions
zshdir     ?= $(prefix)/share/zsh/vendor-completions
fishdir    ?= $(prefix)/share/fish/vendor_completions.d
INSTALL    ?= install
# `STRIP=:` leaves the symbols in what is installed; those of build/ always stay.
STRIP      ?= strip

VERSION := $(shell cat VERSION 2>/dev/null || echo 0.1.0)

# ---- flags --------------------------------------------------------------------------------------

WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual \
	-Wformat=2 -Wvla -Wswitch-enum -Werror
# clang takes assert(!"words"), SQL in two pieces and vsnprintf(..., fmt, args) for slips; gcc knows better.
WARN += $(if $(findstring clang,$(notdir $(CC))),-Wno-string-conversion -Wno-string-concatenation \
	-Wno-format-nonliteral -Wno-enum-float-conversion)

# FLAG where the compiler takes it without a word, else OTHER.
flag = $(shell echo | $(CC) -O2 -Werror $(1) -include features.h -c -o /dev/null -xc - 2>/dev/null && echo $(1) || echo $(2))

ifeq ($(FLAVOUR),release)
OPT   := -O2 -g -U_FORTIFY_SOURCE $(call flag,-D_FORTIFY_SOURCE=3,-D_FORTIFY_SOURCE=2) \
	$(call flag,-ftrivial-auto-var-init=zero) -fstack-protector-strong -fstack-clash-protection -fPIE \
	$(if $(filter x86_64 i%86,$(shell uname -m)),-fcf-protection)
LDOPT := -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed
else ifeq ($(FLAVOUR),san)
# Instrumented code makes gcc suspect variables that it does not suspect otherwise; the release build keeps the warning.
OPT   := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all \
	-Wno-maybe-uninitialized -DBYWAY_TEST_CLOCK
LDOPT := -fsanitize=address,undefined
else ifeq ($(FLAVOUR),fuzz)
OPT   := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LDOPT := -fsanitize=address,undefined
else
$(error FLAVOUR is '$(FLAVOUR)'; it must be release, san or fuzz)
endif

# mbedTLS: what `make deps` unpacked (Debian 12), or the system's (Debian 13).
ifeq ($(TLS),mbedtls)
MBED_DIR := $(patsubst %/include/mbedtls/build_info.h,%,$(wildcard .deps/usr/include/mbedtls/build_info.h))
ifneq ($(MBED_DIR),)
MBED_CFLAGS := -isystem $(MBED_DIR)/include
MBED_LIBS   := $(foreach l,tls x509 crypto,$(wildcard $(MBED_DIR)/lib/*/libmbed$(l).a))
else ifeq ($(shell pkg-config --exists 'mbedtls >= 3.6.6' 2>/dev/null && echo yes),yes)
MBED_CFLAGS := $(shell pkg-config --cflags mbedtls mbedx509 mbedcrypto)
MBED_LIBS   := $(shell pkg-config --libs mbedtls mbedx509 mbedcrypto)
endif
endif

GMIME_CFLAGS := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags gmime-3.0 2>/dev/null))
GMIME_LIBS   := $(shell pkg-config --libs gmime-3.0 2>/dev/null)

ALL_CPPFLAGS = -I. -D_GNU_SOURCE -DBYWAY_VERSION='"$(VERSION)"' $(MBED_CFLAGS) $(GMIME_CFLAGS) $(CPPFLAGS)
ALL_CFLAGS   = -std=c17 $(WARN) $(OPT) -pthread $(CFLAGS)
ALL_LDFLAGS  = $(LDOPT) -pthread $(LDFLAGS)
LIBS         = $(MBED_LIBS) -lev -linih -lsqlite3 -lcrypt -lmemcached -lcurl -lcares -lidn2 -lresolv -lssl -lcrypto $(GMIME_LIBS) -lseccomp -ljansson -lm $(LDLIBS)
# What speaks HTTP alone needs.
HTTP_LIBS    = -lmicrohttpd

# ---- what there is ------------------------------------------------------------------------------

FLOORS  := wire conf relay proxy console
MAINS   := proxy/main.c console/main.c console/service/main.c bench/main.c
SRC     := $(sort $(foreach f,$(FLOORS),$(wildcard $(f)/*.c $(f)/*/*.c)))
BENCH   := $(filter-out bench/main.c,$(wildcard bench/*.c))
# Of both libraries one: libcurl's trust (wire/trust_openssl.c, wire/pem_openssl.c) is OpenSSL's always.
OTHER   := $(if $(WITH),$(wildcard wire/tls*_mbedtls.c wire/crypto*_mbedtls.c),$(wildcard wire/tls*_openssl.c wire/crypto*_openssl.c))
LIBSRC  := $(filter-out $(MAINS) $(OTHER),$(SRC))
UNIT    := $(wildcard tests/unit/test_*.c)
FUZZ    := $(wildcard tests/fuzz/fuzz_*.c)
HELPERS := $(filter-out $(UNIT),$(wildcard tests/unit/*.c))
# End to end tests that touch TLS or cryptography: by file, and by what a test's name says. pytest's -k.
NEAR_TLS := both_libraries or test_tls or test_cases or test_check or test_clients or test_crash or test_dialog or \
	test_faults or test_isolation or test_oauth or test_probe or test_process or test_setup or test_threats or \
	test_upstreams or tls or certificate or key_rotate

obj      = $(patsubst %.c,$(BUILD)/%.o,$(1))
LIBRARY := $(BUILD)/libbyway.a
BENCHES := $(BUILD)/libbench.a
BINS    := $(if $(wildcard proxy/main.c),$(BUILD)/bywayd) $(if $(wildcard console/main.c),$(BUILD)/byway) \
	$(if $(wildcard console/service/main.c),$(BUILD)/byway-console) 	$(if $(wildcard bench/main.c),$(BUILD)/byway-bench)
TESTS   := $(patsubst %.c,$(BUILD)/%,$(UNIT))
FUZZERS := $(patsubst %.c,$(BUILD)/%,$(FUZZ))

# A make that was not told how many jobs to run builds with all cores where it calls itself.
MORE     = $(MAKE) $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc 2>/dev/null || echo 1))

# ---- targets ------------------------------------------------------------------------------------

.PHONY: all san deps run test test-openssl unit e2e soak fuzz check lint format docs install uninstall clean dist deb help FORCE

all: $(if $(LIBSRC),$(LIBRARY)) $(BINS)

help:
	@echo 'make            build the release flavour into $(BUILD)/ (bywayd, byway, byway-console, byway-bench)'
	@echo 'make deps       install what a build lacks (Debian 12 and 13); FOR="run test check package" for the rest, FOR=all'
	@echo 'make run        the whole thing live on loopback ports, until Ctrl-C; CHECK=1 ends by itself'
	@echo 'make test       build with ASan and UBSan, then unit and end to end tests'
	@echo 'make test-openssl  unit tests, and end to end tests of what touches TLS and cryptography, with OpenSSL'
	@echo 'make unit       unit tests only; T="slice dots" picks some'
	@echo 'make e2e        end to end tests only; K=expression picks some'
	@echo 'make soak       the torture tests for every n, and all that takes long; an hour or more'
	@echo 'make fuzz       fuzz the parsers for SECS=10 each; T="dots path" picks some'
	@echo 'make check      style: floors, banned functions, sizes, layout, cppcheck ...'
	@echo 'make lint       clang-tidy, and a build with clang'
	@echo 'make format     lay the sources out as .clang-format says'
	@echo 'make docs       write docs/CONFIG.md and the tables of the other pages anew'
	@echo 'make install    prefix=$(prefix) DESTDIR=$(DESTDIR); uninstall takes it back'
	@echo 'make dist       build/byway-$(VERSION).tar.gz from the last commit'
	@echo 'make deb        Debian packages of this release into build/deb/, and what lintian says of them'
	@echo 'make clean      remove build/ (.deps/ stays)'
	@echo 'FLAVOUR=san, TLS=openssl, CC=clang, V=1 work with all of them'

deps:
	$(Q)TLS=$(TLS) sh dist/deps $(or $(FOR),build)

san:
	+$(Q)$(MORE) FLAVOUR=san all

run:
	$(Q)TLS=$(TLS) sh dist/deps build run
	+$(Q)$(MORE) all
	$(Q)BYWAY_BUILD='$(CURDIR)/$(BUILD)' CHECK='$(CHECK)' dist/run

test:
	$(Q)TLS=$(TLS) sh dist/deps build test
	+$(Q)$(MORE) FLAVOUR=san all $(SAN)/bywayd-faults $(patsubst %.c,$(SAN)/%,$(UNIT))
	$(Q)dist/test --build $(SAN) unit e2e

# A folder of either build is served by the other in one of these, so both are made.
test-openssl:
	$(Q)sh dist/deps build test
	+$(Q)$(MORE) FLAVOUR=san TLS=mbedtls all
	+$(Q)$(MORE) FLAVOUR=san TLS=openssl all build/san-openssl/bywayd-faults $(patsubst %.c,build/san-openssl/%,$(UNIT))
	$(Q)dist/test --build build/san-openssl unit e2e -k '$(or $(K),$(NEAR_TLS))'

unit:
	+$(Q)$(MORE) FLAVOUR=san $(patsubst %.c,$(SAN)/%,$(if $(T),$(T:%=tests/unit/test_%.c),$(UNIT)))
	$(Q)dist/test --build $(SAN) unit $(addprefix --only ,$(T))

e2e:
	+$(Q)$(MORE) FLAVOUR=san all $(SAN)/bywayd-faults
	$(Q)dist/test --build $(SAN) e2e $(if $(K),-k '$(K)')

soak:
	$(Q)TLS=$(TLS) sh dist/deps build test
	+$(Q)$(MORE) FLAVOUR=san all $(SAN)/bywayd-faults
	$(Q)BYWAY_SOAK=1 dist/test --build $(SAN) e2e -k 'torture or soak'

fuzz:
	$(Q)TLS=$(TLS) sh dist/deps build check
	+$(Q)$(MORE) FLAVOUR=fuzz CC=clang $(patsubst %.c,$(FUZZED)/%,$(if $(T),$(T:%=tests/fuzz/fuzz_%.c),$(FUZZ)))
	$(Q)dist/test --build $(FUZZED) fuzz --seconds $(or $(SECS),10) $(addprefix --only ,$(T))

check:
	$(Q)TLS=$(TLS) sh dist/deps check
	$(Q)dist/check --self-test
	$(Q)dist/check

lint:
	$(Q)TLS=$(TLS) sh dist/deps build check
	+$(Q)$(MORE) CC=clang all
	$(Q)dist/check clang-tidy

format:
	$(Q)git ls-files '*.c' '*.h' | xargs clang-format -i

docs: $(BINS)
	$(Q)dist/docs --byway $(BUILD)/byway
	$(Q)dist/smtp-tables
	$(Q)dist/provider-tables

clean:
	rm -rf build

dist:
	$(Q)mkdir -p build
	$(Q)git archive --prefix=byway-$(VERSION)/ -o build/byway-$(VERSION).tar.gz HEAD
	@echo build/byway-$(VERSION).tar.gz

deb:
	$(Q)sh dist/deps build package
	+$(Q)dist/deb '$(VERSION)'

# ---- building -----------------------------------------------------------------------------------

# What a build needs beside make: looked for only where something is to be compiled.
$(BUILD)/ready: $(wildcard .deps/usr/include/mbedtls/build_info.h)
	@command -v $(CC) >/dev/null || \
	    { echo 'byway: no $(CC) here: run `make deps`' >&2; exit 1; }
	@$(if $(MBED_LIBS)$(WITH),:,{ echo 'byway: mbedTLS 3.6.6 or later is not here: run `make deps`' >&2; exit 1; })
	@echo '#include <ev.h>\n#include <ini.h>\n#include <sqlite3.h>\n#include <crypt.h>\n#include <libmemcached/memcached.h>\n#include <curl/curl.h>\n#include <ares.h>\n#include <idn2.h>\n#include <openssl/ssl.h>\n#include <gmime/gmime.h>\n#include <seccomp.h>\n#include <stddef.h>\n#include <microhttpd.h>\n#include <jansson.h>' | \
	    $(CC) $(GMIME_CFLAGS) -E -xc - >/dev/null 2>&1 || \
	    { echo 'byway: a library'"'"'s header is missing (libev, inih, sqlite3, crypt, libmemcached, curl, c-ares, libidn2, ssl, gmime, seccomp, microhttpd, jansson): run `make deps`' >&2; exit 1; }
	@mkdir -p $(@D) && touch $@

# Objects are made anew when the flags change, the library when a source came or went.
define keep
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(1))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(1))' > $@
endef
$(BUILD)/flags: FORCE | $(BUILD)/ready
	$(call keep,$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(LIBS))
$(BUILD)/sources: FORCE | $(BUILD)/ready
	$(call keep,$(LIBSRC) $(BENCH))

$(BUILD)/%.o: %.c $(BUILD)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# What the assembler reads (.incbin), which -MMD does not see.
$(BUILD)/conf/shipped.o: dist/byway.ini.sample dist/replies/smtp2go.ini
$(BUILD)/bench/report.o: bench/report.html

$(LIBRARY): $(call obj,$(LIBSRC)) $(BUILD)/sources
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $(filter %.o,$^)

# For the tests of bench/.
$(BENCHES): $(call obj,$(BENCH)) $(BUILD)/sources
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $(filter %.o,$^)

$(BUILD)/bywayd: $(BUILD)/proxy/main.o $(LIBRARY)
$(BUILD)/byway: $(BUILD)/console/main.o $(LIBRARY)
$(BUILD)/byway-console: $(BUILD)/console/service/main.o $(LIBRARY)
$(BUILD)/byway-bench: $(BUILD)/bench/main.o $(call obj,$(BENCH)) $(LIBRARY)
$(BUILD)/bywayd $(BUILD)/byway $(BUILD)/byway-console $(BUILD)/byway-bench:
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(LIBRARY) $(LIBS) $(if $(filter %/byway-console,$@),$(HTTP_LIBS))

# The daemon of the torture tests: any call of these can be made to fail (tests/torture/fault.c).
FAULTS := malloc calloc realloc reallocarray strdup strndup read recv readv write send sendmsg sqlite3_step
$(BUILD)/bywayd-faults: $(BUILD)/proxy/main.o $(BUILD)/tests/torture/fault.o $(LIBRARY)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $(FAULTS:%=-Wl,--wrap=%) -o $@ $(filter %.o,$^) $(LIBRARY) $(LIBS)

$(TESTS): $(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(call obj,$(HELPERS)) $(BENCHES) $(LIBRARY)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(BENCHES) $(LIBRARY) -lcmocka $(LIBS)

$(FUZZERS): $(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(LIBRARY)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(LIBRARY) $(LIBS)

.SECONDARY:

-include $(patsubst %.o,%.d,$(call obj,$(SRC) $(wildcard bench/*.c tests/unit/*.c tests/fuzz/*.c tests/torture/*.c)))

# ---- installing ---------------------------------------------------------------------------------

UNITS := byway.service byway-console.service
MANS := $(wildcard docs/man/*.[1-8])

install: all
	$(INSTALL) -d '$(DESTDIR)$(sbindir)' '$(DESTDIR)$(bindir)' '$(DESTDIR)$(docdir)' '$(DESTDIR)$(unitdir)' \
	    '$(DESTDIR)$(usersdir)'
	$(INSTALL) -m 755 $(BUILD)/bywayd '$(DESTDIR)$(sbindir)/'
	$(INSTALL) -m 755 $(filter-out %/bywayd,$(BINS)) '$(DESTDIR)$(bindir)/'
	$(STRIP) '$(DESTDIR)$(sbindir)/bywayd' $(patsubst %,'$(DESTDIR)$(bindir)/%',$(notdir $(filter-out %/bywayd,$(BINS))))
	$(INSTALL) -m 644 LICENSE $(wildcard README.md CHANGELOG.md docs/*.md dist/byway.ini.sample) '$(DESTDIR)$(docdir)/'
	$(foreach u,$(UNITS),sed 's,@sbindir@,$(sbindir),; s,@bindir@,$(bindir),' dist/$(u) > $(BUILD)/$(u) && \
	    $(INSTALL) -m 644 $(BUILD)/$(u) '$(DESTDIR)$(unitdir)/$(u)' &&) :
	$(INSTALL) -d '$(DESTDIR)$(sharedir)/replies'
	$(INSTALL) -m 644 $(wildcard dist/replies/*.ini) '$(DESTDIR)$(sharedir)/replies/'
	$(INSTALL) -m 644 dist/byway.socket '$(DESTDIR)$(docdir)/byway.socket.example'
	$(INSTALL) -m 644 dist/byway.sysusers '$(DESTDIR)$(usersdir)/byway.conf'
	$(INSTALL) -D -m 644 dist/byway.tmpfiles '$(DESTDIR)$(tmpfilesdir)/byway.conf'
	$(INSTALL) -D -m 644 dist/completion/byway.bash '$(DESTDIR)$(bashdir)/byway'
	$(INSTALL) -D -m 644 dist/completion/byway.zsh '$(DESTDIR)$(zshdir)/_byway'
	$(INSTALL) -D -m 644 dist/completion/byway.fish '$(DESTDIR)$(fishdir)/byway.fish'
	$(foreach m,$(MANS),$(INSTALL) -D -m 644 $(m) '$(DESTDIR)$(mandir)/man$(subst .,,$(suffix $(m)))/$(notdir $(m))' &&) :

uninstall:
	rm -f '$(DESTDIR)$(sbindir)/bywayd' '$(DESTDIR)$(bindir)/byway' '$(DESTDIR)$(bindir)/byway-console' '$(DESTDIR)$(bindir)/byway-bench'
	rm -f $(foreach u,$(UNITS),'$(DESTDIR)$(unitdir)/$(u)') '$(DESTDIR)$(usersdir)/byway.conf' '$(DESTDIR)$(tmpfilesdir)/byway.conf'
	rm -f '$(DESTDIR)$(bashdir)/byway' '$(DESTDIR)$(zshdir)/_byway' '$(DESTDIR)$(fishdir)/byway.fish'
	rm -rf '$(DESTDIR)$(docdir)' '$(DESTDIR)$(sharedir)'
	$(foreach m,$(MANS),rm -f '$(DESTDIR)$(mandir)/man$(subst .,,$(suffix $(m)))/$(notdir $(m))' &&) :
