// Package bench measures the parts of lockstep on the machine it runs on, and
// gives records that can be kept and compared. A figure is the median of
// several runs; where it says so, a bare equivalent is measured in turn with
// it, so that a busy machine hits both.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"time"
)

// AllReduceOptions set what AllReduce measures.
type AllReduceOptions struct {
	World int   // ranks, each a process of its own; at least 2
	Bytes int64 // length of the vector; a multiple of 4
	Runs  int   // measured runs, after one to warm up; default 9
	Float bool  // sum float32 instead of int32
	// SegmentBytes is allreduce.Options.SegmentBytes.
	SegmentBytes int
	// Rank returns the command that runs AllReduceRank for a rank with its
	// standard input and output, in a process of its own.
	Rank func(ctx context.Context, rank int) *exec.Cmd
}

// Validate reports all that is wrong.
func (o AllReduceOptions) Validate() error {
	var errs []error
	if o.World < 2 || o.World > 64 {
		errs = append(errs, fmt.Errorf("world %d: must be 2 to 64", o.World))
	}
	if o.Bytes < 4 || o.Bytes%4 != 0 || o.Bytes > 4<<30 {
		errs = append(errs, fmt.Errorf("bytes %d: must be a multiple of 4, at most 4 GiB", o.Bytes))
	}
	if o.Runs < 0 || o.Runs > 10_000 {
		errs = append(errs, fmt.Errorf("runs %d: must be 1 to 10000", o.Runs))
	}
	return errors.Join(errs...)
}

// AllReduceResult is the record that AllReduce emits.
type AllReduceResult struct {
	Bench      string  `json:"bench"`      // "allreduce"
	World      int     `json:"world"`      // ranks
	Bytes      int64   `json:"bytes"`      // of the vector
	Arithmetic string  `json:"arithmetic"` // of the sum: int32 or float32
	Codec      string  `json:"codec"`      // what travels: raw
	Runs       int     `json:"runs"`
	Seconds    float64 `json:"seconds"`  // median
	BusGBps    float64 `json:"bus_gbps"` // 2(n-1)/n * bytes / seconds, in 1e9 bytes
	// TCPSeconds is the median time of the bytes that one rank sends, one way over
	// one bare TCP connection of loopback; TCPRatio is BusGBps by its rate.
	TCPSeconds float64 `json:"tcp_seconds"`
	TCPGBps    float64 `json:"tcp_gbps"`
	TCPRatio   float64 `json:"tcp_ratio"`
	CPUs       int     `json:"cpus"`
	Go         string  `json:"go"`
}

// AllReduce sums a vector round a ring of processes over gRPC on loopback,
// and emits one AllReduceResult.
func AllReduce(ctx context.Context, o AllReduceOptions, emit func(any)) error {
	if err := o.Validate(); err != nil {
		return fmt.Errorf("bench allreduce: %w", err)
	}
	if o.Runs == 0 {
		o.Runs = 9
	}
	ranks, err := startRanks(ctx, o)
	if err != nil {
		return fmt.Errorf("bench allreduce: %w", err)
	}
	defer ranks.stop()
	moved := 2 * o.Bytes * int64(o.World-1) / int64(o.World)
	var ring, tcp []float64
	for run := range o.Runs + 1 {
		s, err := ranks.sum()
		if err != nil {
			return fmt.Errorf("bench allreduce: %w", err)
		}
		bare, err := tcpSeconds(ctx, moved)
		if err != nil {
			return fmt.Errorf("bench allreduce: bare TCP: %w", err)
		}
		if run > 0 {
			ring, tcp = append(ring, s), append(tcp, bare)
		}
	}
	emit(o.result(median(ring), median(tcp), moved))
	return ranks.stop()
}

func (o AllReduceOptions) result(ring, tcp float64, moved int64) AllReduceResult {
	kind := "int32"
	if o.Float {
		kind = "float32"
	}
	return AllReduceResult{
		Bench: "allreduce", World: o.World, Bytes: o.Bytes, Arithmetic: kind, Codec: "raw", Runs: o.Runs,
		Seconds: ring, BusGBps: float64(moved) / ring / 1e9,
		TCPSeconds: tcp, TCPGBps: float64(moved) / tcp / 1e9, TCPRatio: tcp / ring,
		CPUs: runtime.NumCPU(), Go: runtime.Version(),
	}
}

func median(x []float64) float64 {
	s := slices.Sorted(slices.Values(x))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// tcpSeconds times n bytes one way over a new loopback connection, from the
// first write to the receiver's answer that all came.
func tcpSeconds(ctx context.Context, n int64) (float64, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	received := make(chan error, 1)
	go func() { received <- sink(l, n) }()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		return 0, err
	}
	defer c.Close()
	buf := make([]byte, 1<<20)
	begin := time.Now()
	for left := n; left > 0; left -= min(left, int64(len(buf))) {
		if _, err := c.Write(buf[:min(left, int64(len(buf)))]); err != nil {
			return 0, err
		}
	}
	if _, err := io.ReadFull(c, buf[:1]); err != nil {
		return 0, err
	}
	return time.Since(begin).Seconds(), <-received
}

// sink takes n bytes from the next connection and answers with one.
func sink(l net.Listener, n int64) error {
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	buf := make([]byte, 1<<20)
	for left := n; left > 0; {
		m, err := c.Read(buf)
		if err != nil {
			return err
		}
		left -= int64(m)
	}
	_, err = c.Write([]byte{1})
	return err
}

// arguments are what AllReduceRank reads first on its standard input.
func (o AllReduceOptions) arguments(rank int) string {
	return strconv.Itoa(rank) + " " + strconv.Itoa(o.World) + " " + strconv.FormatInt(o.Bytes, 10) + " " +
		strconv.FormatBool(o.Float) + " " + strconv.Itoa(o.SegmentBytes) + "\n"
}
