package allreduce_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/lockstep-ml/lockstep/pkg/allreduce"
	"github.com/lockstep-ml/lockstep/pkg/allreduce/linktest"
	lockstepv1 "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// peer is the server that a worker runs, as far as rings need it.
type peer struct {
	lockstepv1.UnimplementedPeerServer
	hub     *allreduce.Hub
	address string
	server  *grpc.Server
}

func (p *peer) Ring(s grpc.BidiStreamingServer[lockstepv1.Frame, lockstepv1.Frame]) error {
	return p.hub.ServeRing(s)
}

// newPeer serves a hub on a loopback port until the test ends.
func newPeer(t testing.TB, opts allreduce.HubOptions, creds credentials.TransportCredentials) *peer {
	hub := allreduce.NewHub(opts)
	p := serve(t, &peer{hub: hub}, creds)
	p.hub = hub
	return p
}

// serve serves any Peer on a loopback port until the test ends.
func serve(t testing.TB, service lockstepv1.PeerServer, creds credentials.TransportCredentials) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{address: l.Addr().String()}
	p.server = grpc.NewServer(append(allreduce.ServerOptions(), grpc.Creds(creds))...)
	lockstepv1.RegisterPeerServer(p.server, service)
	served := make(chan error, 1)
	go func() { served <- p.server.Serve(l) }()
	t.Cleanup(func() {
		p.server.Stop()
		<-served
	})
	return p
}

func newPeers(t testing.TB, n int, opts allreduce.HubOptions, creds credentials.TransportCredentials) []*peer {
	peers := make([]*peer, n)
	for i := range peers {
		peers[i] = newPeer(t, opts, creds)
	}
	return peers
}

func dial(creds credentials.TransportCredentials) []grpc.DialOption {
	return []grpc.DialOption{grpc.WithTransportCredentials(creds)}
}

// membership is that of one rank of a ring over peers, w0, w1, ….
func membership(peers []*peer, generation uint64, rank int) allreduce.Membership {
	m := allreduce.Membership{Job: "digits-1", Generation: generation, Rank: rank}
	for i, p := range peers {
		m.Members = append(m.Members, allreduce.Member{ID: fmt.Sprintf("w%d", i), Address: p.address})
	}
	return m
}

// connect makes a ring over all peers.
func connect(t testing.TB, peers []*peer, generation uint64, creds credentials.TransportCredentials) []*allreduce.Conn {
	t.Helper()
	conns := make([]*allreduce.Conn, len(peers))
	var g errgroup.Group
	for i, p := range peers {
		g.Go(func() (err error) {
			conns[i], err = p.hub.Connect(t.Context(), membership(peers, generation, i), dial(creds))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return conns
}

func closeConns(t testing.TB, conns []*allreduce.Conn) {
	t.Helper()
	var g errgroup.Group
	for _, c := range conns {
		g.Go(c.Close)
	}
	if err := g.Wait(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestGRPCLink(t *testing.T) {
	server, client := mutualTLS(t)
	for _, c := range []struct {
		name           string
		server, client credentials.TransportCredentials
	}{
		{"plain", insecure.NewCredentials(), insecure.NewCredentials()},
		{"mutual TLS", server, client},
	} {
		t.Run(c.name, func(t *testing.T) {
			linktest.Run(t, func(t *testing.T, size int) []linktest.Link {
				peers := newPeers(t, size, allreduce.HubOptions{Linger: 100 * time.Millisecond}, c.server)
				links := make([]linktest.Link, size)
				for i, conn := range connect(t, peers, 9, c.client) {
					links[i] = conn
				}
				return links
			})
		})
	}
}

func TestMemLink(t *testing.T) {
	linktest.Run(t, func(t *testing.T, size int) []linktest.Link {
		links := make([]linktest.Link, size)
		for i, l := range linktest.Ring(size) {
			links[i] = l
		}
		return links
	})
}

// mutualTLS returns the credentials of two sides that ask each other for a
// certificate of one authority.
func mutualTLS(t *testing.T) (server, client credentials.TransportCredentials) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "lockstep test"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	conf := &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		RootCAs:      pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}
	return credentials.NewTLS(conf), credentials.NewTLS(conf)
}

// within returns a context that fails a test that hangs.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
