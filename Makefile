# Targets for developers of gipc; users need only Go (see README.md).

PREFIX ?= /usr/local

# This tag leaves out cli/v2's documentation generator, which halves the start time.
TAGS := urfave_cli_no_docs

# The total duration of `make soak`.
DURATION ?= 20m

# The architectures of `make packages` and `make dist`, by their Go names.
ARCHES := amd64 arm64

.PHONY: build lib extra install install-lib install-python install-extra packages dist packages-test boot-test test programs slurm hosts bench chart fuzz soak ci clean

# Builds the base module alone: GOWORK=off ignores the dependencies of cmd/extra.
build:
	GOWORK=off go build -trimpath -tags $(TAGS) -ldflags '-s -w' -o dist/ ./cmd/...

# Builds the programs of cmd/extra in dist/extra.
extra:
	mkdir -p dist/extra
	go -C cmd/extra build -trimpath -tags $(TAGS) -ldflags '-s -w' -o ../../dist/extra/ ./...

install-extra: extra
	install -d $(DESTDIR)$(PREFIX)/libexec/gipc $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man8
	install dist/extra/* $(DESTDIR)$(PREFIX)/libexec/gipc
	install -m 644 docs/man/*-*.1 $(DESTDIR)$(PREFIX)/share/man/man1
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

# The Python module of python/. Python looks for modules of /usr/local in a directory of its
# version.
ifeq ($(PREFIX),/usr/local)
PYTHONDIR ?= $(shell python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))' 2>/dev/null)
endif
PYTHONDIR ?= $(PREFIX)/lib/python3/dist-packages

install-python:
	install -d $(DESTDIR)$(PYTHONDIR)/gipc
	install -m 644 python/gipc/*.py python/gipc/py.typed $(DESTDIR)$(PYTHONDIR)/gipc

# Without a C compiler it installs everything but the library and the Python module.
install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/include
	install dist/gshm dist/gipcs $(DESTDIR)$(PREFIX)/bin
	install -m 644 docs/man/gipcs.1 docs/man/gshm.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 include/*.h $(DESTDIR)$(PREFIX)/include
	if command -v $(CC) >/dev/null; then $(MAKE) install-lib; else echo "no $(CC): libgipc is not installed"; fi
	if [ "$(PYTHONDIR)" ] && command -v $(CC) >/dev/null; then $(MAKE) install-python; fi

# Builds packages of the checked-out commit in dist/packages.
packages:
	rm -rf dist/packages
	packaging/build.sh packages dist/packages $(ARCHES)

# Builds everything for a release in dist/release; see RELEASING.md.
dist:
	rm -rf dist/release
	packaging/build.sh dist dist/release $(ARCHES)

# Installs, runs and removes packages in directories of their own. Needs root.
packages-test:
	packaging/test.sh $(ARCHES)

# Installs the package of `make packages` in a new Debian system and boots it. Needs root.
boot-test: packages
	packaging/boot.sh dist/packages/gipc_*_$$(go env GOARCH).deb

test:
	go test ./... ./cmd/extra/...

# Starts and kills real programs and writes docs/programs.md. First installs the Debian
# packages listed at the end of that page. Needs root.
programs:
	integration/programs.sh

# Runs 200 Slurm jobs that leave objects behind, and the epilog. Needs root.
slurm:
	integration/slurm.sh 200

# Runs gipcs on fifty hosts that take ten seconds each, and on some that never answer.
# Needs root and openssh-server.
hosts:
	go test ./integration -run '^TestHosts$$' -hosts 50 -host-delay 10s -v

# Compares gipc with C programs and system tools and writes docs/benchmarks.md.
bench: build
	integration/bench.sh

# Measures each way of passing messages on this machine and draws dist/bench.svg.
chart: build
	dist/gshm bench --json >dist/bench.json
	cd tools/chart && GOWORK=off go run . <../../dist/bench.json >../../dist/bench.svg

# Runs each fuzz target for a minute.
fuzz:
	integration/fuzz.sh 60s

# Kills thousands of processes at random moments.
soak:
	integration/soak.sh $(DURATION)

ci:
	.ci/run

clean:
	rm -rf dist
