package secure

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

func TestPlainListensOnLoopbackOnly(t *testing.T) {
	for _, c := range []struct {
		listen string
		ok     bool
	}{
		{"127.0.0.1:7000", true}, {"[::1]:7000", true}, {"localhost:0", true}, {"127.8.9.1:1", true},
		{":7000", false}, {"0.0.0.0:7000", false}, {"10.0.0.1:7000", false}, {"example:7000", false}, {"nonsense", false},
	} {
		if _, err := ServerOption(Config{}, c.listen); (err == nil) != c.ok {
			t.Errorf("listen %q without TLS: error %v, want refused: %t", c.listen, err, !c.ok)
		}
		if _, err := ServerOption(Config{Insecure: true}, c.listen); err != nil {
			t.Errorf("listen %q with Insecure: %v", c.listen, err)
		}
	}
}

func TestValidateReportsAll(t *testing.T) {
	err := Config{CA: "ca.pem", Insecure: true}.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"--tls-cert is missing", "--tls-key is missing", "--insecure"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not mention %q", err, want)
		}
	}
}

// certs makes an authority with a certificate for each name.
func certs(t *testing.T, now time.Time, names ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "certs")
	if err := GenerateCA(dir, now); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := Issue(dir, name, nil, now); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// check asks a health server run with server's files, as a client with client's.
func check(t *testing.T, server, client Config) error {
	t.Helper()
	creds, err := ServerOption(server, "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(creds)
	healthpb.RegisterHealthServer(s, health.NewServer())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(lis) }()
	defer func() { s.Stop(); <-done }()

	dial, err := DialOption(client)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(lis.Addr().String(), dial)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	return err
}

func TestMutualTLS(t *testing.T) {
	now := time.Now()
	ours, theirs := certs(t, now, "c1", "w1"), certs(t, now, "w1")
	expired := certs(t, now.Add(-3*leafLifetime), "c1")

	if err := check(t, Files(ours, "c1"), Files(ours, "w1")); err != nil {
		t.Errorf("two certificates of one authority: %v", err)
	}
	stranger := Files(theirs, "w1")
	stranger.CA = Files(ours, "w1").CA
	for name, c := range map[string]struct{ server, client Config }{
		"a client without a certificate":         {Files(ours, "c1"), Config{}},
		"a client of another authority":          {Files(ours, "c1"), stranger},
		"a server of another authority":          {Files(theirs, "w1"), Files(ours, "w1")},
		"certificates whose time is over":        {Files(expired, "c1"), Files(expired, "c1")},
		"a server that speaks without a secret ": {Config{Insecure: true}, Files(ours, "w1")},
	} {
		if err := check(t, c.server, c.client); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestAuthorityIsNotReplaced(t *testing.T) {
	dir := certs(t, time.Now())
	if err := GenerateCA(dir, time.Now()); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second GenerateCA: %v, want fs.ErrExist", err)
	}
	if err := Issue(t.TempDir(), "c1", nil, time.Now()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Issue without an authority: %v, want fs.ErrNotExist", err)
	}
	for _, name := range []string{"", "ca", "a/b"} {
		if err := Issue(dir, name, nil, time.Now()); err == nil {
			t.Errorf("Issue(%q) was accepted", name)
		}
	}
}

func TestMissingFilesAreNamed(t *testing.T) {
	dir := certs(t, time.Now(), "c1")
	c := Files(dir, "c1")
	c.CA = filepath.Join(dir, "absent.pem")
	if _, err := ClientTLS(c); err == nil || !strings.Contains(err.Error(), "--tls-ca") {
		t.Errorf("absent CA: %v", err)
	}
	if _, err := ServerTLS(Files(dir, "nobody"), ":1"); err == nil || !strings.Contains(err.Error(), "nobody.pem") {
		t.Errorf("absent certificate: %v", err)
	}
}
