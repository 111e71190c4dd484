package allreduce

import (
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
)

// Sizes of the transport, in bytes. The window of flow control must hold the
// Options.Window of segments at MaxSegmentBytes; a fixed smaller one is slower.
const (
	streamWindow = 16 << 20
	socketBuffer = 512 << 10
)

// ServerOptions are what a gRPC server needs to serve Peer.Ring: the raw codec
// (other methods keep protobuf), its windows, and pings that find a dead peer.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(codec{}),
		grpc.InitialWindowSize(streamWindow),
		grpc.InitialConnWindowSize(streamWindow),
		grpc.ReadBufferSize(socketBuffer),
		grpc.WriteBufferSize(socketBuffer),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	}
}

// dialOptions are the calling side's; the caller adds its credentials.
func dialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithNoProxy(),
		grpc.WithDisableRetry(),
		grpc.WithInitialWindowSize(streamWindow),
		grpc.WithInitialConnWindowSize(streamWindow),
		grpc.WithReadBufferSize(socketBuffer),
		grpc.WithWriteBufferSize(socketBuffer),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 3 * time.Second,
		}),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec{})),
	}
}

// codec hands frames to the transport as they are, and leaves every other
// message to protobuf, so that one server can speak both.
type codec struct{}

// outFrame is a whole frame to send. Its memory goes back to its pool when the
// transport has let go of it.
type outFrame struct{ buf mem.Buffer }

// inFrame receives a frame, in the pieces in which it came.
type inFrame struct{ data mem.BufferSlice }

// Name is the content-subtype.
func (codec) Name() string { return "lockstep-raw" }

// Marshal implements encoding.CodecV2.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	if f, ok := v.(*outFrame); ok {
		return mem.BufferSlice{f.buf}, nil
	}
	return protobuf().Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	if f, ok := v.(*inFrame); ok {
		data.Ref()
		f.data = data
		return nil
	}
	return protobuf().Unmarshal(data, v)
}

func protobuf() encoding.CodecV2 { return encoding.GetCodecV2(proto.Name) }

// segment decodes the frame. It takes over the memory, also when it fails.
func (f *inFrame) segment() (*Segment, error) {
	data := f.data
	f.data = nil
	s, err := parseFrame(data)
	if err != nil {
		data.Free()
		return nil, err
	}
	return s, nil
}

// parseFrame makes a segment of a frame whose pieces may be cut anywhere. The
// memory stays the caller's until it is freed.
func parseFrame(data mem.BufferSlice) (*Segment, error) {
	var head [HeaderSize]byte
	n := copyPrefix(head[:], data)
	h, err := ParseHeader(head[:n], data.Len())
	if err != nil {
		return nil, err
	}
	s := &Segment{Header: h, Payload: make([][]byte, 0, len(data)), Free: data.Free}
	skip := HeaderSize
	for _, b := range data {
		p := b.ReadOnlyData()
		if skip >= len(p) {
			skip -= len(p)
			continue
		}
		s.Payload = append(s.Payload, p[skip:])
		skip = 0
	}
	return s, nil
}

func copyPrefix(dst []byte, data mem.BufferSlice) int {
	n := 0
	for _, b := range data {
		n += copy(dst[n:], b.ReadOnlyData())
	}
	return n
}

// bufferPool keeps the memory of frames on their way out. Put is the sign of
// the transport that it has let go of one.
type bufferPool struct{ free sync.Pool }

// minBuffer is above the size below which package mem does not pool.
const minBuffer = 4 << 10

// Get implements mem.BufferPool.
func (p *bufferPool) Get(n int) *[]byte {
	if b, ok := p.free.Get().(*[]byte); ok && cap(*b) >= n {
		*b = (*b)[:n]
		return b
	}
	b := make([]byte, n, max(n, minBuffer))
	return &b
}

// Put implements mem.BufferPool.
func (p *bufferPool) Put(b *[]byte) { p.free.Put(b) }

// frame copies a segment into a frame.
func (p *bufferPool) frame(h Header, payload []byte) (*outFrame, error) {
	if len(payload) > MaxSegmentBytes || int(h.Bytes) != len(payload) {
		return nil, fmt.Errorf("allreduce: a segment of %d bytes, its header says %d: at most %d", len(payload), h.Bytes, MaxSegmentBytes)
	}
	b := p.Get(HeaderSize + len(payload))
	h.Put(*b)
	copy((*b)[HeaderSize:], payload)
	return &outFrame{buf: mem.NewBuffer(b, p)}, nil
}
