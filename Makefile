# Tools for those who work on gipc; users need Go alone (see README.md).

PREFIX ?= /usr/local

# Without its generator of documentation cli/v2 starts in half the time.
TAGS := urfave_cli_no_docs

# How long `make soak` takes in all.
DURATION ?= 20m

# The architectures of `make packages` and `make dist`, as Go calls them.
ARCHES := amd64 arm64

.PHONY: build lib extra install install-lib install-extra packages dist packages-test boot-test test programs slurm hosts bench chart fuzz soak ci clean

# The base module alone: GOWORK=off keeps the modules of cmd/extra out of it.
build:
	GOWORK=off go build -trimpath -tags $(TAGS) -ldflags '-s -w' -o dist/ ./cmd/...

# The programs of cmd/extra, in dist/extra.
extra:
	mkdir -p dist/extra
	go -C cmd/extra build -trimpath -tags $(TAGS) -ldflags '-s -w' -o ../../dist/extra/ ./...

install-extra: extra
	install -d $(DESTDIR)$(PREFIX)/libexec/gipc $(DESTDIR)$(PREFIX)/share/man/man8
	install dist/extra/* $(DESTDIR)$(PREFIX)/libexec/gipc
	install -m 644 docs/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8

# The library of include/ for languages that do not compile C, in LIBOUT.
LIBRARY := libgipc.so.0
LIBOUT ?= dist/lib
LIBDIR ?= $(PREFIX)/lib
VERSION := $(shell sed -n 's/^const Version = "\(.*\)"$$/\1/p' cmd/internal/command/version.go)

lib:
	mkdir -p $(LIBOUT)
	$(CC) -O2 -Wall -Wextra -fPIC -fvisibility=hidden $(CFLAGS) -Iinclude -shared -Wl,-soname,$(LIBRARY) \
		-Wl,--version-script=lib/gipc.map -Wl,-z,relro,-z,now $(LDFLAGS) -o $(LIBOUT)/$(LIBRARY) lib/gipc.c
	ln -sf $(LIBRARY) $(LIBOUT)/libgipc.so
	sed -e 's,@PREFIX@,$(PREFIX),; s,@LIBDIR@,$(LIBDIR),; s,@VERSION@,$(VERSION),' lib/gipc.pc.in >$(LIBOUT)/gipc.pc

install-lib: lib
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 644 $(LIBOUT)/$(LIBRARY) $(DESTDIR)$(LIBDIR)
	ln -sf $(LIBRARY) $(DESTDIR)$(LIBDIR)/libgipc.so
	install -m 644 $(LIBOUT)/gipc.pc $(DESTDIR)$(LIBDIR)/pkgconfig

# Without a C compiler it installs everything but the library.
install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/include
	install dist/gshm dist/gipcs $(DESTDIR)$(PREFIX)/bin
	install -m 644 docs/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 include/*.h $(DESTDIR)$(PREFIX)/include
	if command -v $(CC) >/dev/null; then $(MAKE) install-lib; else echo "no $(CC): libgipc is not installed"; fi

# Packages of the commit that is checked out, in dist/packages.
packages:
	rm -rf dist/packages
	packaging/build.sh packages dist/packages $(ARCHES)

# All that a release has, in dist/release: RELEASING.md.
dist:
	rm -rf dist/release
	packaging/build.sh dist dist/release $(ARCHES)

# Installs, runs and removes packages in directories of their own. As root.
packages-test:
	packaging/test.sh $(ARCHES)

# Installs the package of `make packages` in a new Debian system, and boots that. As root.
boot-test: packages
	packaging/boot.sh dist/packages/gipc_*_$$(go env GOARCH).deb

test:
	go test ./... ./cmd/extra/...

# Real programs, started and killed: docs/programs.md, at whose end is the apt-get line
# that this runs first. As root.
programs:
	integration/programs.sh

# 200 jobs of a Slurm cluster that leave objects behind, and its epilog. As root.
slurm:
	integration/slurm.sh 200

# gipcs on fifty hosts, each of which takes ten seconds, and on some that never answer. As
# root, with openssh-server.
hosts:
	go test ./integration -run '^TestHosts$$' -hosts 50 -host-delay 10s -v

# Ours beside C and the system's programs, as ratios: docs/benchmarks.md.
bench: build
	integration/bench.sh

# What this machine does with each way of passing messages, as dist/bench.svg.
chart: build
	dist/gshm bench --json >dist/bench.json
	cd tools/chart && GOWORK=off go run . <../../dist/bench.json >../../dist/bench.svg

# A minute for every fuzz target.
fuzz:
	integration/fuzz.sh 60s

# Processes killed at random moments, thousands of them.
soak:
	integration/soak.sh $(DURATION)

ci:
	.ci/run

clean:
	rm -rf dist
