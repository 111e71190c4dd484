package coordinator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

// raftMagic is the first byte of a connection that carries Raft. The caller's
// name follows, as its --peers has it: a byte with its length, and id=address. The
// answer is raftMagic, or raftRefused if that is none of the peers.
const (
	raftMagic   = 'R'
	raftRefused = 'X'
)

// maxName bounds a caller's name, in bytes.
const maxName = 255

// helloTimeout bounds the TLS handshake and the wait for the first bytes.
const helloTimeout = 5 * time.Second

// warnAgain is how long nothing is logged of callers that are refused.
const warnAgain = time.Minute

// acceptAgain is the pause after a connection could not be accepted.
const acceptAgain = 100 * time.Millisecond

// mux shares one listener between gRPC and Raft.
type mux struct {
	listener   net.Listener
	log        *zap.Logger
	tls        *tls.Config // nil: plain
	peers      peers       // who may call for Raft
	grpc, raft *inbox

	mu      sync.Mutex // guards what follows
	closed  bool
	warned  time.Time             // when a refusal was logged last
	greeted map[net.Conn]struct{} // connections whose first bytes are awaited
	wg      sync.WaitGroup        // their goroutines
}

func newMux(l net.Listener, conf *tls.Config, p peers, log *zap.Logger) *mux {
	return &mux{
		listener: l, tls: conf, peers: p, log: log,
		grpc: newInbox(l.Addr()), raft: newInbox(l.Addr()),
		greeted: map[net.Conn]struct{}{},
	}
}

// serve accepts connections until close. It owns a goroutine for each
// connection until its first bytes are there, and waits for them.
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
	if b[0] == raftMagic {
		if err := m.admit(conn); err != nil {
			return nil, 0, err
		}
	}
	return conn, b[0], conn.SetDeadline(time.Time{})
}

// admit refuses a caller that is not of this group. Raft itself does not look:
// a node of another group, whose own neighbour had this port before, would
// replace what is stored here by its own.
func (m *mux) admit(conn net.Conn) error {
	var length [1]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return err
	}
	name := make([]byte, length[0])
	if _, err := io.ReadFull(conn, name); err != nil {
		return err
	}
	for id, address := range m.peers {
		if peerName(id, address) == string(name) {
			_, err := conn.Write([]byte{raftMagic})
			return err
		}
	}
	m.warn(conn, string(name))
	_, err := conn.Write([]byte{raftRefused})
	return errors.Join(errRefused, err)
}

// errRefused is that a caller is not of the group.
var errRefused = errors.New("not among --peers, which must be the same on all coordinators of a group")

// peerName is how a node is called in --peers.
func peerName(id, address string) string { return id + "=" + address }

// warn logs a refusal now and then.
func (m *mux) warn(conn net.Conn, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.warned) >= warnAgain {
		m.warned = time.Now()
		m.log.Warn("a coordinator was refused", zap.Stringer("from", conn.RemoteAddr()), zap.String("coordinator", name), zap.Error(errRefused))
	}
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
	id, advertise string
	tls           *tls.Config // nil: plain
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
	if err = conn.SetDeadline(deadline); err == nil {
		err = s.introduce(conn)
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("coordinator at %s: %w", to, err)
	}
	return conn, nil
}

// introduce says who calls, and waits until the other node agrees.
func (s *streams) introduce(conn net.Conn) error {
	name := peerName(s.id, s.advertise)
	if _, err := conn.Write(append([]byte{raftMagic, byte(len(name))}, name...)); err != nil {
		return err
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return fmt.Errorf("wait for its answer: %w", err)
	}
	if answer[0] != raftMagic {
		return fmt.Errorf("it refuses %s: %w", name, errRefused)
	}
	return nil
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
