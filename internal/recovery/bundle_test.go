package recovery_test

import (
	"errors"
	"testing"

	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/testca"
)

// One officer who gives nonsense keeps nobody from opening a key for which others
// gave enough: those who were at it when enough had answered give theirs, too.
func TestSpareShares(t *testing.T) {
	o := open(t)
	names := []string{"ana", "ben", "chie", "eve"}
	o.officers(t, 2, append(names, "fumi")...)
	k := o.escrow(t, "alice", "alice-1", testca.P256)
	r := o.ask(t, o.actor(t, "dan"), "dan")
	var answers []*recovery.Answer
	for _, name := range names {
		a, err := o.opened(t, name, recovery.Release, r.ID)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	var b *recovery.Bundle
	for i, name := range names {
		if err := o.Answer(t.Context(), o.actor(t, name), org, answers[i]); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if i == 0 {
			continue
		}
		var err error
		if b, err = o.Release(t.Context(), o.actor(t, "dan"), org, r.ID); err != nil || len(b.Keys[0].Shares) != i+1 {
			t.Fatalf("%d shares, %v", len(b.Keys[0].Shares), err)
		}
	}
	if err := o.Answer(t.Context(), o.actor(t, "eve"), org, answers[3]); !errors.Is(err, recovery.ErrState) && !errors.Is(err, recovery.ErrProof) {
		t.Errorf("given twice: %v", err)
	}
	if _, err := o.opened(t, "fumi", recovery.Release, r.ID); !errors.Is(err, recovery.ErrState) {
		t.Errorf("one more is asked: %v", err)
	}
	own, err := identity.MarshalPrivateKey(o.keys["dan"].Key)
	if err != nil {
		t.Fatal(err)
	}
	page := func() error {
		var got [][]byte
		return script(t, `
			const identities = [{ pkcs8: fromBase64(input.key), certificate: fromBase64(input.bundle.recipient) }];
			return (await openBundle(input.bundle, identities)).map(({ pkcs8 }) => toBase64(pkcs8));`, map[string]any{"bundle": b, "key": own}, &got)
	}
	key := &b.Keys[0]
	key.Shares[2].Envelope = key.Shares[2].Envelope[:40] // no envelope at all
	if err := key.Spoil(0, b.Request, o.with("dan")[0]); err != nil {
		t.Fatal(err)
	}
	if ids, err := b.Open(o.with("dan")); err != nil || !opens(ids, k.leaf) {
		t.Errorf("two of four are good: %v", err)
	}
	if err := page(); err != nil {
		t.Errorf("the page, two of four are good: %v", err)
	}
	if err := key.Spoil(1, b.Request, o.with("dan")[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Open(o.with("dan")); err == nil {
		t.Error("one of four is good, and it opens")
	}
	if err := page(); err == nil {
		t.Error("one of four is good, and the page opens it")
	}
}

// However many officers there are, the ways to choose among their shares are few.
func TestChoices(t *testing.T) {
	for _, tt := range []struct{ of, n, want int }{{2, 2, 1}, {4, 2, 6}, {5, 3, 10}, {recovery.MaxOfficers, 8, 12870}} {
		if got := recovery.Choices(tt.of, tt.n); got != tt.want {
			t.Errorf("%d of %d: %d ways, want %d", tt.n, tt.of, got, tt.want)
		}
	}
}
