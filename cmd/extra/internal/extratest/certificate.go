package extratest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"testing"
	"time"
)

// Certify makes a certificate for 127.0.0.1, writes it and its key to the files cert and key,
// and returns both and a pool that trusts the certificate.
func Certify(t testing.TB, cert, key string) (*x509.CertPool, tls.Certificate) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	check(err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	check(err)
	certText := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyText := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	check(errors.Join(os.WriteFile(cert, certText, 0o600), os.WriteFile(key, keyText, 0o600)))
	pair, err := tls.X509KeyPair(certText, keyText)
	check(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certText)
	return pool, pair
}
