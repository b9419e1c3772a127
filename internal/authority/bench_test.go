package authority_test

import (
	"sync/atomic"
	"testing"

	"github.com/mailseal/mailseal/internal/validation"
)

// BenchmarkIssue is what a certificate costs between proofs and answer, with
// eight callers at a time.
func BenchmarkIssue(b *testing.B) {
	w := found(b)
	key := newKey(b)
	proofs := make([][]validation.Proof, b.N)
	for i := range proofs {
		o := w.order(key)
		proofs[i] = w.proofs(o)
	}
	var next atomic.Int64
	b.SetParallelism(4)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := w.Issue(b.Context(), proofs[next.Add(1)-1], key.Public()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
