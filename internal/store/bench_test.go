package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

// BenchmarkUpdate writes one row in each change, from one caller or many at once.
func BenchmarkUpdate(b *testing.B) {
	for _, callers := range []int{1, 32} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			db := storetest.Open(b)
			var n atomic.Int64
			b.SetParallelism(callers)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := db.Update(b.Context(), func(tx *store.Tx) error {
						return tx.InsertPerson(store.Person{ID: fmt.Sprint(n.Add(1)), Created: now})
					}); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(db.Stats().Changes)/float64(max(db.Stats().Commits, 1)), "changes/commit")
		})
	}
}

// BenchmarkView reads one row in each view.
func BenchmarkView(b *testing.B) {
	db := storetest.Open(b)
	if err := db.Update(b.Context(), person("p")); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for b.Loop() {
		if err := db.View(b.Context(), func(tx *store.Tx) error { _, err := tx.Person("p"); return err }); err != nil {
			b.Fatal(err)
		}
	}
}
