package secure

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Lifetimes of certificates. backdate allows for clocks that are behind.
const (
	caLifetime   = 10 * 365 * 24 * time.Hour
	leafLifetime = 2 * 365 * 24 * time.Hour
	backdate     = time.Hour
)

// Names of the authority's files.
const (
	caCert = "ca.pem"
	caKey  = "ca-key.pem"
)

// Files returns the Config of the process name whose files are in dir.
func Files(dir, name string) Config {
	return Config{
		CA:   filepath.Join(dir, caCert),
		Cert: filepath.Join(dir, name+".pem"),
		Key:  filepath.Join(dir, name+"-key.pem"),
	}
}

// GenerateCA makes an authority in dir, creating dir if need be. It returns
// fs.ErrExist, wrapped, if dir has one already: replacing it would shut out
// every machine that trusts it.
func GenerateCA(dir string, now time.Time) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	for _, name := range []string{caCert, caKey} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("certificate authority: %s: %w", filepath.Join(dir, name), fs.ErrExist)
		}
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "lockstep cluster authority"},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caLifetime),
		KeyUsage:              x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
	}
	return sign(dir, caCert, caKey, template, nil)
}

// Issue makes key and certificate of the process name, signed by the authority
// in dir. hosts are the host names and IP addresses that others dial it by;
// name itself and the loopback addresses are always among them. An older
// certificate of that name is replaced.
func Issue(dir, name string, hosts []string, now time.Time) error {
	if name == "" || name == "ca" || strings.ContainsAny(name, `/\ `) {
		return fmt.Errorf("certificate name %q: expected a plain word other than ca", name)
	}
	ca, err := tls.LoadX509KeyPair(filepath.Join(dir, caCert), filepath.Join(dir, caKey))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no authority in %s: run `lockstep certs` there, or copy %s and %s: %w", dir, caCert, caKey, err)
	}
	if err != nil {
		return fmt.Errorf("authority in %s: %w", dir, err)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		NotBefore:   now.Add(-backdate),
		NotAfter:    now.Add(leafLifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, h := range append([]string{name, "localhost", "127.0.0.1", "::1"}, hosts...) {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	return sign(dir, name+".pem", name+"-key.pem", template, &ca)
}

// sign makes a key and a certificate for it, signed by ca or, if that is nil,
// by the key itself.
func sign(dir, certFile, keyFile string, template *x509.Certificate, ca *tls.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("private key: %w", err)
	}
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return fmt.Errorf("serial number: %w", err)
	}
	parent, signer := template, any(key)
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return fmt.Errorf("certificate %s: %w", certFile, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("private key %s: %w", keyFile, err)
	}
	if err := writePEM(filepath.Join(dir, keyFile), "PRIVATE KEY", keyDER, 0o600); err != nil {
		return err
	}
	return writePEM(filepath.Join(dir, certFile), "CERTIFICATE", cert, 0o644)
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}
