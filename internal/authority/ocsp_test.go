package authority_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

func (w *world) issued() *cert.Certificate {
	w.t.Helper()
	key := newKey(w.t)
	c, err := w.issue(w.order(key), key)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// about makes an OCSP request.
func (w *world) about(h crypto.Hash, nonce []byte, serials ...*big.Int) []byte {
	w.t.Helper()
	q := cert.OCSPRequest{Nonce: nonce}
	for _, serial := range serials {
		id, err := cert.NewCertID(&cert.Certificate{RawIssuer: w.Chain()[0].RawSubject, Serial: serial}, w.Chain()[0], h)
		if err != nil {
			w.t.Fatal(err)
		}
		q.CertIDs = append(q.CertIDs, id)
	}
	der, err := q.DER()
	if err != nil {
		w.t.Fatal(err)
	}
	return der
}

// ask asks an authority about one certificate and reads the answer with
// golang.org/x/crypto/ocsp, which checks the responder's certificate, too.
func (w *world) ask(a *authority.Authority, h crypto.Hash, serial *big.Int) *ocsp.Response {
	w.t.Helper()
	issuer, err := x509.ParseCertificate(w.Chain()[0].Raw)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := ocsp.ParseResponse(a.OCSP(w.t.Context(), w.about(h, nil, serial)).DER, issuer)
	if err != nil {
		w.t.Fatal(err)
	}
	if r.SerialNumber.Cmp(serial) != 0 || r.IssuerHash != h {
		w.t.Errorf("the answer is about %v with %v", r.SerialNumber, r.IssuerHash)
	}
	if r.Certificate == nil || r.NextUpdate.After(r.Certificate.NotAfter) {
		w.t.Error("the answer outlives the responder's certificate")
	}
	return r
}

func status(t *testing.T, der []byte) cert.OCSPStatus {
	t.Helper()
	r, err := cert.ParseOCSPResponse(der)
	if err != nil {
		t.Fatal(err)
	}
	return r.Status
}

func TestOCSP(t *testing.T) {
	w := found(t)
	alice, bob := w.issued(), w.issued()
	for _, h := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		if r := w.ask(w.Authority, h, alice.Serial); r.Status != ocsp.Good || r.NextUpdate.Sub(r.ThisUpdate) != 4*24*time.Hour {
			t.Errorf("%v: %+v", h, r)
		}
	}
	first := w.OCSP(t.Context(), w.about(crypto.SHA1, nil, alice.Serial))
	if again := w.OCSP(t.Context(), w.about(crypto.SHA1, nil, alice.Serial)); again != first {
		t.Error("the second answer is not the first one")
	}
	w.restart()
	if stored := w.OCSP(t.Context(), w.about(crypto.SHA1, nil, alice.Serial)); !bytes.Equal(stored.DER, first.DER) {
		t.Error("after a restart it was signed anew")
	}

	nonce := []byte("0123456789abcdef0123456789abcdef")
	for _, request := range [][]byte{w.about(crypto.SHA256, nonce, alice.Serial), w.about(crypto.SHA1, nonce, alice.Serial, big.NewInt(77), bob.Serial)} {
		answer := w.OCSP(t.Context(), request)
		r, err := cert.ParseOCSPResponse(answer.DER)
		if err != nil || r.Basic == nil || !bytes.Equal(r.Basic.Nonce, nonce) || len(r.Basic.Defects) > 0 {
			t.Fatalf("with a nonce: %+v, %v", r, err)
		}
		if !answer.NextUpdate.IsZero() {
			t.Error("an answer for one request may be kept")
		}
		for i, a := range r.Basic.Answers {
			if want := map[bool]cert.OCSPCertStatus{true: cert.OCSPUnknown, false: cert.OCSPGood}[i == 1]; a.Status != want {
				t.Errorf("certificate %d of %d is %v, want %v", i, len(r.Basic.Answers), a.Status, want)
			}
		}
	}
	other := found(t)
	for name, test := range map[string]struct {
		request []byte
		want    cert.OCSPStatus
	}{
		"nothing":        {nil, cert.OCSPMalformedRequest},
		"noise":          {[]byte("GET / HTTP/1.0"), cert.OCSPMalformedRequest},
		"too long":       {append(w.about(crypto.SHA1, nil, alice.Serial), make([]byte, cert.MaxOCSPRequestSize)...), cert.OCSPMalformedRequest},
		"never issued":   {w.about(crypto.SHA1, nil, big.NewInt(77)), cert.OCSPUnauthorized},
		"nor with nonce": {w.about(crypto.SHA1, nonce, big.NewInt(77), big.NewInt(78)), cert.OCSPUnauthorized},
		"negative":       {w.about(crypto.SHA1, nil, new(big.Int).Neg(alice.Serial)), cert.OCSPUnauthorized},
		"zero":           {w.about(crypto.SHA1, nil, new(big.Int)), cert.OCSPUnauthorized},
		"somebody else":  {other.about(crypto.SHA1, nil, alice.Serial), cert.OCSPUnauthorized},
	} {
		answer := w.OCSP(t.Context(), test.request)
		if got := status(t, answer.DER); got != test.want || !answer.NextUpdate.IsZero() {
			t.Errorf("%s: %v until %v, want %v", name, got, answer.NextUpdate, test.want)
		}
	}
	// A serial number that is taken is no certificate (Mozilla's bug 1577652 was
	// the reverse).
	key := newKey(t)
	o := w.order(key)
	w.crashAt(authority.StepPrepared)
	w.restart()
	if _, err := w.issue(o, key); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	_, row, _ := w.state(o)
	if got := status(t, w.OCSP(t.Context(), w.about(crypto.SHA1, nil, new(big.Int).SetBytes(row.Serial))).DER); got != cert.OCSPUnauthorized {
		t.Errorf("of a serial number that is only reserved: %v", got)
	}
}

// When Revoke returns, nothing says "good" any more: not this node, whatever it
// has in memory, and within a second no other one.
func TestRevocationShows(t *testing.T) {
	w := found(t)
	alice := w.issued()
	db, err := store.Open(t.Context(), w.source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	o := w.options()
	o.Store = db
	node, err := authority.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); node.Maintain(ctx) }()
	defer func() { stop(); <-done }()
	for _, a := range []*authority.Authority{w.Authority, node} {
		for _, h := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
			if r := w.ask(a, h, alice.Serial); r.Status != ocsp.Good {
				t.Fatalf("before: %+v", r)
			}
		}
	}
	if err := w.Revoke(t.Context(), alice.Serial, cert.KeyCompromise); err != nil {
		t.Fatal(err)
	}
	committed := time.Now()
	for _, h := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
		r := w.ask(w.Authority, h, alice.Serial)
		if r.Status != ocsp.Revoked || r.RevocationReason != ocsp.KeyCompromise || !r.RevokedAt.Equal(w.now) {
			t.Errorf("here, %v: %+v", h, r)
		}
		for w.ask(node, h, alice.Serial).Status != ocsp.Revoked {
			if time.Since(committed) > time.Second {
				t.Fatalf("the other node says good for %v, %v", time.Since(committed), h)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	list, err := node.CRL(t.Context(), "issuing", 0)
	if err != nil || !bytes.Contains(list.DER, alice.Serial.Bytes()) {
		t.Errorf("the other node's list does not have it, %v", err)
	}
}

// So it is while a list is signed that takes long.
func TestRevocationShowsDuringAList(t *testing.T) {
	w := found(t)
	alice := w.issued()
	node, err := authority.Open(t.Context(), w.options())
	if err != nil {
		t.Fatal(err)
	}
	release := authority.HoldList(node, "issuing")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); node.Maintain(ctx) }()
	defer func() { stop(); release(); <-done }()
	bob := w.issued()
	for _, c := range []*cert.Certificate{alice, bob} {
		if r := w.ask(node, crypto.SHA1, c.Serial); r.Status != ocsp.Good {
			t.Fatalf("before: %+v", r)
		}
		if err := w.Revoke(t.Context(), c.Serial, cert.KeyCompromise); err != nil {
			t.Fatal(err)
		}
		for committed := time.Now(); w.ask(node, crypto.SHA1, c.Serial).Status != ocsp.Revoked; time.Sleep(10 * time.Millisecond) {
			if time.Since(committed) > 2*time.Second {
				t.Fatal("the other node says good while it waits for its list")
			}
		}
	}
}

// Responses are signed without anybody asking, from the first day on, and anew
// every day; the key is replaced before it ends.
func TestOCSPSignedAhead(t *testing.T) {
	w := found(t)
	alice := w.issued()
	ahead := func() (r store.OCSPResponse) {
		t.Helper()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.Maintain(ctx) }()
		defer func() { stop(); <-done }()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			err := w.db.View(t.Context(), func(tx *store.Tx) error {
				rows, err := tx.Authorities()
				if err != nil {
					return err
				}
				r, err = tx.OCSPResponse(rows[1].ID, alice.Serial.Bytes())
				if errors.Is(err, store.ErrNotFound) {
					return nil
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if r.ThisUpdate.Equal(w.now) {
				return r
			}
			if time.Now().After(deadline) {
				t.Fatalf("signed at %v, now it is %v", r.ThisUpdate, w.now)
			}
		}
	}
	w.now = w.now.Add(24 * time.Hour)
	first := ahead()
	responder := w.ask(w.Authority, crypto.SHA1, alice.Serial).Certificate
	w.now = w.now.Add(24 * time.Hour)
	if second := ahead(); bytes.Equal(first.DER, second.DER) {
		t.Error("the second day's response is the first one")
	}
	if r := w.ask(w.Authority, crypto.SHA1, alice.Serial); !r.Certificate.Equal(responder) {
		t.Error("another responder after a day")
	}
	w.restart()
	if r := w.ask(w.Authority, crypto.SHA256, alice.Serial); !r.Certificate.Equal(responder) {
		t.Error("another responder after a restart")
	}
	w.now = w.now.Add(20 * 24 * time.Hour)
	r := w.ask(w.Authority, crypto.SHA256, alice.Serial)
	if r.Certificate.Equal(responder) {
		t.Error("the responder's key is kept until nine days before its end")
	}
	// What was signed ahead is too old when nobody signed for three weeks.
	if r := w.ask(w.Authority, crypto.SHA1, alice.Serial); !r.ThisUpdate.Equal(w.now) {
		t.Errorf("an answer of %v is served at %v", r.ThisUpdate, w.now)
	}
}

// A key that was made for a certificate that never came to be is not used.
func TestInterruptedResponder(t *testing.T) {
	w := found(t)
	alice := w.issued()
	allow := storetest.Refuse(t, w.source, "INSERT ON delegates")
	if got := status(t, w.OCSP(t.Context(), w.about(crypto.SHA1, nil, alice.Serial)).DER); got != cert.OCSPTryLater {
		t.Errorf("without a key: %v", got)
	}
	allow()
	w.restart()
	if err := w.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.check()
	if r := w.ask(w.Authority, crypto.SHA1, alice.Serial); r.Status != ocsp.Good {
		t.Errorf("afterwards: %+v", r)
	}
}
