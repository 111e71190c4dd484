package coordinator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"

	"github.com/lockstep-ml/lockstep/internal/build"
)

// raftMagic is the first byte of a connection that carries Raft. The caller's
// name follows: a byte with its length, id=address as its --peers has it, and its
// edition. The answer is raftMagic, raftStranger if that is none of the peers, or
// raftEdition if it is of another edition.
const (
	raftMagic    = 'R'
	raftStranger = 'X'
	raftEdition  = 'E'
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
	answer, refusal := byte(raftMagic), m.peers.judge(string(name))
	switch refusal {
	case errStranger:
		answer = raftStranger
	case errEdition:
		answer = raftEdition
	}
	if refusal != nil {
		m.warn(conn, string(name), refusal)
	}
	_, err := conn.Write([]byte{answer})
	return errors.Join(refusal, err)
}

// Why a caller is refused.
var (
	errStranger = errors.New("not among --peers, which must be the same on all coordinators of a group")
	// A leader admits workers of its edition only: one of another would send them away.
	errEdition = fmt.Errorf("not of edition %d of the bits: install the same build on all machines of the cluster", build.Edition)
)

// judge says why the caller of this name is refused; nil if it is not.
func (p peers) judge(name string) error {
	for id, address := range p {
		edition, ok := strings.CutPrefix(name, id+"="+address)
		switch {
		case name == peerName(id, address):
			return nil
		case ok && (edition == "" || edition[0] == ' '):
			return errEdition
		}
	}
	return errStranger
}

// peerName is how a node of this edition introduces itself.
func peerName(id, address string) string {
	return fmt.Sprintf("%s=%s edition %d", id, address, build.Edition)
}

// warn logs a refusal now and then.
func (m *mux) warn(conn net.Conn, name string, why error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.warned) >= warnAgain {
		m.warned = time.Now()
		m.log.Warn("a coordinator was refused", zap.Stringer("from", conn.RemoteAddr()), zap.String("coordinator", name), zap.Error(why))
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
	switch answer[0] {
	case raftMagic:
		return nil
	case raftEdition:
		return fmt.Errorf("it refuses %s: its own edition is another: install the same build on all machines of the cluster", name)
	}
	return fmt.Errorf("it refuses %s: %w", name, errStranger)
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
