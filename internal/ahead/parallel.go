package ahead

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Parallel runs f(0) to f(n-1) on the cores at hand and returns when all are done.
// When one panics the others may be left out, and the caller panics.
func Parallel(n int, f func(int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var panicked atomic.Pointer[Panic]
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			defer func() {
				if p := caught(recover()); p != nil {
					panicked.Store(p)
				}
			}()
			for i := int(next.Add(1)) - 1; i < n && panicked.Load() == nil; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	running.Wait()
	if p := panicked.Load(); p != nil {
		panic(p)
	}
}
