package secure

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// Config names the files of mutual TLS. The zero Config is the plain mode.
type Config struct {
	// CA is the path of the authority's certificate, PEM.
	CA string
	// Cert and Key are the paths of this process's certificate and private key, PEM.
	Cert, Key string
	// Insecure allows to listen without TLS on an address that is not loopback.
	Insecure bool
}

// AddFlags adds the flags --tls-ca, --tls-cert, --tls-key and --insecure.
func (c *Config) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&c.CA, "tls-ca", c.CA, "certificate of the cluster's authority (ca.pem of lockstep certs)")
	f.StringVar(&c.Cert, "tls-cert", c.Cert, "certificate of this process")
	f.StringVar(&c.Key, "tls-key", c.Key, "private key of this process")
	f.BoolVar(&c.Insecure, "insecure", c.Insecure, "listen without TLS on an address that is not loopback")
}

// Enabled reports whether the mode is mutual TLS.
func (c Config) Enabled() bool {
	return c.CA != "" || c.Cert != "" || c.Key != ""
}

// Validate reports settings that contradict each other or are incomplete. It
// does not read the files.
func (c Config) Validate() error {
	if !c.Enabled() {
		return nil
	}
	var errs []error
	for _, f := range []struct{ flag, value string }{{"--tls-ca", c.CA}, {"--tls-cert", c.Cert}, {"--tls-key", c.Key}} {
		if f.value == "" {
			errs = append(errs, fmt.Errorf("%s is missing: mutual TLS needs --tls-ca, --tls-cert and --tls-key", f.flag))
		}
	}
	if c.Insecure {
		errs = append(errs, errors.New("--insecure and --tls-… exclude each other: leave one out"))
	}
	return errors.Join(errs...)
}

// ServerTLS returns what a server that listens on the address listen must use;
// nil without an error means plain. It is an error to listen plainly on an
// address that other machines can reach, unless c.Insecure says so.
func ServerTLS(c Config, listen string) (*tls.Config, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if !c.Enabled() {
		if c.Insecure || loopback(listen) {
			return nil, nil
		}
		return nil, fmt.Errorf("listening on %q without TLS would let anyone in: give --tls-ca, --tls-cert and --tls-key "+
			"(`lockstep certs` makes the files), listen on 127.0.0.1, or say --insecure", listen)
	}
	cert, pool, err := c.load()
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{cert},
		ClientCAs:    pool,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		NextProtos:   []string{"h2"},
	}, nil
}

// ClientTLS returns what a client must use to reach a server of the cluster; nil
// without an error means plain. The server's certificate must name the host
// that was dialled.
func ClientTLS(c Config) (*tls.Config, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if !c.Enabled() {
		return nil, nil
	}
	cert, pool, err := c.load()
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{cert},
		RootCAs:      pool,
	}, nil
}

// ServerOption is ServerTLS as an option of a gRPC server.
func ServerOption(c Config, listen string) (grpc.ServerOption, error) {
	conf, err := ServerTLS(c, listen)
	if err != nil {
		return nil, err
	}
	return grpc.Creds(transport(conf)), nil
}

// DialOption is ClientTLS as an option of a gRPC client.
func DialOption(c Config) (grpc.DialOption, error) {
	conf, err := ClientTLS(c)
	if err != nil {
		return nil, err
	}
	return grpc.WithTransportCredentials(transport(conf)), nil
}

func transport(conf *tls.Config) credentials.TransportCredentials {
	if conf == nil {
		return insecure.NewCredentials()
	}
	return credentials.NewTLS(conf)
}

func (c Config) load() (tls.Certificate, *x509.CertPool, error) {
	cert, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return cert, nil, fmt.Errorf("--tls-cert %s, --tls-key %s: %w", c.Cert, c.Key, err)
	}
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		return cert, nil, fmt.Errorf("--tls-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return cert, nil, fmt.Errorf("--tls-ca %s: no certificate in it; expected PEM", c.CA)
	}
	return cert, pool, nil
}

// loopback reports whether only this machine can reach the address host:port.
// An empty host listens everywhere. A name other than localhost is not trusted.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
