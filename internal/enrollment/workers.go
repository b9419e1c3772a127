package enrollment

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"sync"
)

// workers are the cores that make keys and derive what files are encrypted
// with, for all jobs together.
type workers chan struct{}

func newWorkers(n int) workers { return make(workers, n) }

// each calls do for 0 to n-1, as many at a time as there are cores, until one
// fails or ctx ends.
func (w workers) each(ctx context.Context, n int, do func(i int) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	for i := range n {
		got := false
		select {
		case w <- struct{}{}:
			got = true
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			if got {
				<-w
			}
			break
		}
		all.Go(func() {
			defer func() { <-w }()
			if err := do(i); err != nil {
				stop(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// newKey makes a private key of an algorithm of registration's settings.
func newKey(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case "p256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "rsa-2048":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "rsa-3072":
		return rsa.GenerateKey(rand.Reader, 3072)
	}
	return nil, fmt.Errorf("enrollment: no keys of algorithm %q are made here", algorithm)
}
