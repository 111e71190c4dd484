package coordinator

import (
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"
)

// dials keeps one connection to each address that this node calls.
type dials struct {
	options []grpc.DialOption

	mu    sync.Mutex // guards conns
	conns map[string]*grpc.ClientConn
}

func newDials(creds grpc.DialOption) *dials {
	return &dials{
		options: []grpc.DialOption{
			creds,
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 2 * keepaliveEvery, Timeout: keepaliveTimeout}),
			grpc.WithConnectParams(grpc.ConnectParams{
				MinConnectTimeout: time.Second,
				Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
			}),
		},
		conns: map[string]*grpc.ClientConn{},
	}
}

// to returns the connection to an address; it is made when first used.
func (d *dials) to(address string) (*grpc.ClientConn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if conn := d.conns[address]; conn != nil {
		return conn, nil
	}
	conn, err := grpc.NewClient(address, d.options...)
	if err == nil {
		d.conns[address] = conn
	}
	return conn, err
}

func (d *dials) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, conn := range d.conns {
		conn.Close()
	}
	clear(d.conns)
}
