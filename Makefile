# Tools for those who work on gipc; users need Go alone (see README.md).

PREFIX ?= /usr/local

# Without its generator of documentation cli/v2 starts in half the time.
TAGS := urfave_cli_no_docs

.PHONY: build install test bench fuzz ci clean

build:
	go build -trimpath -tags $(TAGS) -ldflags '-s -w' -o dist/ ./cmd/...

install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1
	install dist/gshm dist/gipcs $(DESTDIR)$(PREFIX)/bin
	install -m 644 docs/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1

test:
	go test ./...

# Ours beside C and the system's programs, as ratios.
bench: build
	integration/bench.sh

# A minute for every fuzz target.
fuzz:
	integration/fuzz.sh 60s

ci:
	.ci/run

clean:
	rm -rf dist
