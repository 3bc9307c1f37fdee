package main

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/shardmill/shardmill/transport/awshttp"
)

// certificate reads the server's certificate from the data folder, so that clients that trust it keep doing so, and
// makes a self-signed one where there is none or it has expired.
func (n *node) certificate(now time.Time) (tls.Certificate, error) {
	dir := filepath.Join(n.dir, "tls")
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	cert, certErr := os.ReadFile(certFile)
	key, keyErr := os.ReadFile(keyFile)
	if err := errors.Join(certErr, keyErr); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return tls.Certificate{}, exitf(codeFailed, "read the TLS certificate: %w", err)
	}
	pair, err := awshttp.ParseCertificate(now, cert, key)
	if err != nil {
		if len(cert) > 0 {
			n.opts.Log.Warn("making a new TLS certificate", "because", err.Error())
		}
		host, _ := os.Hostname() // without it the certificate is good for loopback only
		if cert, key, err = awshttp.MakeCertificate(now, host); err != nil {
			return tls.Certificate{}, exitf(codeFailed, "make a TLS certificate: %w", err)
		}
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(keyFile, key, 0o600), os.WriteFile(certFile, cert, 0o644)); err != nil { //nolint:gosec // a certificate is public
			return tls.Certificate{}, exitf(codeFailed, "keep the TLS certificate: %w", err)
		}
		if pair, err = awshttp.ParseCertificate(now, cert, key); err != nil {
			return tls.Certificate{}, exitf(codeFailed, "read the new TLS certificate: %w", err)
		}
	}
	sum := sha256.Sum256(pair.Leaf.Raw)
	n.fingerprint = hex.EncodeToString(sum[:1]) + ":" + hex.EncodeToString(sum[1:2]) + ".."
	return pair, nil
}
