package allreduce

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
)

var someHeader = Header{Generation: 7, Operation: 3, Elements: 100, Kind: Int32, Block: 1, Round: 2, Segment: 5, Bytes: 8}

func TestHeaderMismatchIsNamed(t *testing.T) {
	for _, c := range []struct {
		want   string
		change func(h *Header)
	}{
		{"generation 6, want 7", func(h *Header) { h.Generation = 6 }},
		{"operation 4, want 3", func(h *Header) { h.Operation = 4 }},
		{"vector length 99, want 100", func(h *Header) { h.Elements = 99 }},
		{"a sum of float32, want int32", func(h *Header) { h.Kind = Float32 }},
		{"a sum of kind 9, want int32", func(h *Header) { h.Kind = 9 }},
		{"block 0, want 1", func(h *Header) { h.Block = 0 }},
		{"round 1, want 2", func(h *Header) { h.Round = 1 }},
		{"segment 6, want 5", func(h *Header) { h.Segment = 6 }},
		{"payload bytes 4, want 8", func(h *Header) { h.Bytes = 4 }},
	} {
		h := someHeader
		c.change(&h)
		if err := match(h, someHeader); !errors.Is(err, ErrFrame) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	if err := match(someHeader, someHeader); err != nil {
		t.Errorf("equal headers: %v", err)
	}
}

// cut divides a frame into pieces of n bytes, as a transport may.
func cut(frame []byte, n int) mem.BufferSlice {
	var pieces mem.BufferSlice
	for len(frame) > 0 {
		m := min(n, len(frame))
		pieces = append(pieces, mem.SliceBuffer(frame[:m]))
		frame = frame[m:]
	}
	return pieces
}

// FuzzParseFrame: no frame, cut anywhere, makes the receiver panic; one that is
// accepted means what its bytes say, and adds up like whole numbers.
func FuzzParseFrame(f *testing.F) {
	good := make([]byte, HeaderSize+8)
	someHeader.Put(good)
	f.Add(good, 1)
	f.Add(good, 7)
	f.Add(good[:HeaderSize-1], 100)
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), 5)
	f.Add([]byte{}, 1)
	f.Fuzz(func(t *testing.T, frame []byte, n int) {
		if n < 1 {
			n = 1
		}
		s, err := parseFrame(cut(frame, n))
		if err != nil {
			if !errors.Is(err, ErrFrame) {
				t.Fatalf("error %v is not ErrFrame", err)
			}
			return
		}
		again := make([]byte, HeaderSize)
		s.Header.Put(again)
		payload := frame[HeaderSize:]
		if !bytes.Equal(again, frame[:HeaderSize]) || !bytes.Equal(bytes.Join(s.Payload, nil), payload) {
			t.Fatalf("frame %x was read as %+v, %x", frame, s.Header, s.Payload)
		}
		if check(s, someHeader) != nil || len(payload)%4 != 0 {
			return
		}
		split, whole := make([]int32, len(payload)/4), make([]int32, len(payload)/4)
		add(split, s.Payload)
		replace(whole, s.Payload)
		for i := range whole {
			if split[i] != whole[i] {
				t.Fatalf("element %d: added to 0 it is %d, copied %d", i, split[i], whole[i])
			}
		}
	})
}

// TestAddInPieces adds payloads cut at every width to vectors of every short
// length, between guard words.
func TestAddInPieces(t *testing.T) {
	for n := range 20 {
		for width := 1; width <= 4*n+1; width++ {
			payload := make([]float32, n)
			for i := range payload {
				payload[i] = float32(i) + 0.5
			}
			const guard = -77
			got := make([]float32, n+2)
			for i := range got {
				got[i] = guard
			}
			var pieces [][]byte
			for _, b := range cut(bytesOf(payload), width) {
				pieces = append(pieces, b.ReadOnlyData())
			}
			add(got[1:n+1], pieces)
			for i, g := range got {
				want := float32(guard)
				if i > 0 && i <= n {
					want += payload[i-1]
				}
				if g != want {
					t.Fatalf("n %d, pieces of %d bytes: element %d is %g, want %g", n, width, i-1, g, want)
				}
			}
		}
	}
}
