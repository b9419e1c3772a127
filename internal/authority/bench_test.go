package authority_test

import (
	"sync/atomic"
	"testing"

	"github.com/mailseal/mailseal/internal/validation"
)

// BenchmarkIssue is what a certificate costs between warrant and answer, with
// eight callers at a time.
func BenchmarkIssue(b *testing.B) {
	w := found(b)
	key := newKey(b)
	warrants := make([]validation.Warrant, b.N)
	for i := range warrants {
		o := w.order(key)
		warrants[i] = w.warrant(o)
	}
	var next atomic.Int64
	b.SetParallelism(4)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := w.Issue(b.Context(), warrants[next.Add(1)-1], key.Public()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
