package authority

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/mailseal/mailseal/internal/issuance"
)

// Who waits for a place to make a certificate may leave, and gives none back that
// they never had; whoever had one gives it back, also when nothing came of it.
func TestPlacesToPrepare(t *testing.T) {
	a := &Authority{preparing: make(chan struct{}, 1)}
	gone, leave := context.WithCancel(t.Context())
	leave()
	a.preparing <- struct{}{}
	if _, _, err := a.makeReady(gone, nil, nil, issuance.Request{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("all places are taken: %v", err)
	}
	if len(a.preparing) != 1 {
		t.Fatal("somebody else's place was given back")
	}
	<-a.preparing
	key, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader) // which no profile allows
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, refusal, err := a.makeReady(t.Context(), &issuance.Profile{}, nil, issuance.Request{Key: key.Public()}); err != nil || refusal == nil {
			t.Fatalf("%v, %v", refusal, err)
		}
	}
	if len(a.preparing) != 0 {
		t.Error("a place was not given back")
	}
}
