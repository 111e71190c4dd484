package allreduce_test

import (
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/lockstep-ml/lockstep/pkg/allreduce"
	"github.com/lockstep-ml/lockstep/pkg/allreduce/linktest"
)

// BenchmarkSum measures both links in one process; bytes are those of the vector.
func BenchmarkSum(b *testing.B) {
	for _, n := range []int{64, 1 << 18, 1 << 24} {
		b.Run(fmt.Sprintf("mem/bytes=%d", 4*n), func(b *testing.B) {
			var links []allreduce.Link
			for _, l := range linktest.Ring(2) {
				links = append(links, l)
			}
			benchmarkSum(b, links, n)
		})
		b.Run(fmt.Sprintf("grpc/bytes=%d", 4*n), func(b *testing.B) {
			creds := insecure.NewCredentials()
			peers := newPeers(b, 2, allreduce.HubOptions{}, creds)
			conns := connect(b, peers, 1, creds)
			defer closeConns(b, conns)
			var links []allreduce.Link
			for _, c := range conns {
				links = append(links, c)
			}
			benchmarkSum(b, links, n)
		})
	}
}

func benchmarkSum(b *testing.B, links []allreduce.Link, n int) {
	b.SetBytes(int64(4 * n))
	b.ReportAllocs()
	var g errgroup.Group
	for rank, l := range links {
		r, err := allreduce.New(rank, len(links), l, allreduce.Options{Generation: 1})
		if err != nil {
			b.Fatal(err)
		}
		v := make([]int32, n)
		g.Go(func() error {
			for range b.N {
				if err := r.SumInt32(b.Context(), v); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
}
