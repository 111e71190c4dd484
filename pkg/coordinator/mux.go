package coordinator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

// raftMagic is the first byte of a connection that carries Raft.
const raftMagic = 'R'

// helloTimeout bounds the TLS handshake and the wait for the first byte.
const helloTimeout = 5 * time.Second

// acceptAgain is the pause after a connection could not be accepted.
const acceptAgain = 100 * time.Millisecond

// mux shares one listener between gRPC and Raft.
type mux struct {
	listener   net.Listener
	log        *zap.Logger
	tls        *tls.Config // nil: plain
	grpc, raft *inbox

	mu      sync.Mutex // guards what follows
	closed  bool
	greeted map[net.Conn]struct{} // connections whose first byte is awaited
	wg      sync.WaitGroup        // their goroutines
}

func newMux(l net.Listener, conf *tls.Config, log *zap.Logger) *mux {
	return &mux{
		listener: l, tls: conf, log: log,
		grpc: newInbox(l.Addr()), raft: newInbox(l.Addr()),
		greeted: map[net.Conn]struct{}{},
	}
}

// serve accepts connections until close. It owns a goroutine for each
// connection until its first byte is there, and waits for them.
func (m *mux) serve() error {
	defer m.wg.Wait()
	for {
		conn, err := m.listener.Accept()
		switch {
		case err == nil && m.track(conn):
			m.wg.Go(func() { m.greet(conn) })
		case err == nil:
			conn.Close()
		case m.isClosed():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept at %s: %w", m.listener.Addr(), err)
		default: // too many open files, say: those that are connected go on
			m.log.Warn("a connection was not accepted", zap.Error(err))
			time.Sleep(acceptAgain)
		}
	}
}

func (m *mux) track(c net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.greeted[c] = struct{}{}
	}
	return !m.closed
}

func (m *mux) isClosed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed
}

// greet finds out what the connection carries and hands it on.
func (m *mux) greet(raw net.Conn) {
	conn, first, err := m.peek(raw)
	m.mu.Lock()
	delete(m.greeted, raw)
	m.mu.Unlock()
	switch {
	case err != nil:
		raw.Close()
	case first == raftMagic:
		m.raft.put(conn)
	default:
		m.grpc.put(&peeked{Conn: conn, first: []byte{first}})
	}
}

func (m *mux) peek(conn net.Conn) (net.Conn, byte, error) {
	deadline := time.Now().Add(helloTimeout)
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, 0, err
	}
	if m.tls != nil {
		secured := tls.Server(conn, m.tls)
		if err := secured.Handshake(); err != nil {
			return nil, 0, err
		}
		conn = secured
	}
	var b [1]byte
	if _, err := conn.Read(b[:]); err != nil {
		return nil, 0, err
	}
	return conn, b[0], conn.SetDeadline(time.Time{})
}

// close ends serve and both inboxes.
func (m *mux) close() {
	m.mu.Lock()
	m.closed = true
	for c := range m.greeted {
		c.Close()
	}
	m.mu.Unlock()
	m.listener.Close()
	m.grpc.Close()
	m.raft.Close()
}

// peeked is a connection whose first bytes were read already.
type peeked struct {
	net.Conn
	first []byte
}

func (p *peeked) Read(b []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// inbox is a net.Listener that is given its connections.
type inbox struct {
	address net.Addr
	conns   chan net.Conn
	once    sync.Once
	done    chan struct{}
}

func newInbox(a net.Addr) *inbox {
	return &inbox{address: a, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (i *inbox) put(c net.Conn) {
	select {
	case i.conns <- c:
	case <-i.done:
		c.Close()
	}
}

func (i *inbox) Accept() (net.Conn, error) {
	select {
	case c := <-i.conns:
		return c, nil
	case <-i.done:
		return nil, net.ErrClosed
	}
}

func (i *inbox) Close() error {
	i.once.Do(func() { close(i.done) })
	return nil
}

func (i *inbox) Addr() net.Addr { return i.address }

// streams is Raft's way to other nodes. It implements raft.StreamLayer.
type streams struct {
	*inbox
	advertise string
	tls       *tls.Config // nil: plain
}

// Addr returns the advertised address: it names this node to the others.
func (s *streams) Addr() net.Addr { return address(s.advertise) }

// Dial connects to the Raft of another node.
func (s *streams) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := s.dial(ctx, string(to))
	if err != nil {
		return nil, fmt.Errorf("coordinator at %s: %w", to, err)
	}
	deadline, _ := ctx.Deadline()
	if err = conn.SetWriteDeadline(deadline); err == nil {
		_, err = conn.Write([]byte{raftMagic})
	}
	if err == nil {
		err = conn.SetWriteDeadline(time.Time{})
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("coordinator at %s: %w", to, err)
	}
	return conn, nil
}

func (s *streams) dial(ctx context.Context, to string) (net.Conn, error) {
	if s.tls == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", to)
	}
	return (&tls.Dialer{Config: s.tls}).DialContext(ctx, "tcp", to)
}

// address is a host:port as a net.Addr.
type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }
