//go:build linux

package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// checkAddress returns an error unless address is a loopback address with a port, or any
// address if others are kept out.
func checkAddress(address string, guarded bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is no address and port, such as 127.0.0.1:9787 or [::1]:9787", address)
	}
	if guarded || isLoopback(host) {
		return nil
	}
	return fmt.Errorf("other machines could read what %s serves; give --tls-cert, --tls-key and --token-file, or --insecure", address)
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// readTLS returns a configuration with a certificate, which is read again at each handshake,
// so that a renewed one is used without a restart.
func readTLS(cert, key string) (*tls.Config, error) {
	load := func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		return &pair, err
	}
	if _, err := load(nil); err != nil {
		return nil, fmt.Errorf("--tls-cert %s, --tls-key %s: %w", cert, key, err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: load}, nil
}

// A token is what clients must know. Only its hash is kept.
type token [sha256.Size]byte

// readToken reads a token from a file that only its owner and its group may read.
func readToken(path string) (*token, error) {
	const least, most = 16, 4096
	// A FIFO must not block.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("--token-file: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("--token-file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("--token-file %s: it is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return nil, fmt.Errorf("--token-file %s: mode %04o lets others use it, or its group change it; chmod 600 it", path, mode)
	}
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return nil, fmt.Errorf("--token-file: %w", err)
	}
	text = bytes.TrimSpace(text)
	switch {
	case len(text) < least || len(text) > most:
		return nil, fmt.Errorf("--token-file %s: a token has %d to %d characters; `openssl rand -hex 32` prints one", path, least, most)
	case bytes.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, fmt.Errorf("--token-file %s: a token is one word of ASCII characters", path)
	}
	t := token(sha256.Sum256(text))
	return &t, nil
}

// admits reports whether a request has the token. The time that this takes does not depend
// on how much of the token is right.
func (t *token) admits(r *http.Request) bool {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		_, given, ok = r.BasicAuth()
	}
	sum := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(sum[:], t[:]) == 1 && ok
}

var errForeignHost = errors.New("the agent serves requests to a loopback address or localhost")

// checkHost refuses requests that a page of another site makes a browser send here. They
// name that site as their host, because its name now resolves to this machine.
func checkHost(r *http.Request) error {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = strings.Trim(r.Host, "[]")
	}
	if !isLoopback(host) {
		return errForeignHost
	}
	return nil
}
