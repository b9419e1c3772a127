package authority_test

import (
	"bytes"
	"crypto"
	"errors"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/issuance"
)

// stamp asks for a timestamp as a client does.
func (w *world) stamp(message string) (*cms.Timestamp, error) {
	w.t.Helper()
	q, err := cms.NewTimestampRequest([]byte(message), crypto.SHA256, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	der, err := q.DER()
	if err != nil {
		w.t.Fatal(err)
	}
	answer, err := w.Timestamp(w.t.Context(), der)
	if err != nil {
		w.t.Fatal(err)
	}
	_, stamp, err := q.Open(answer)
	return stamp, err
}

// trusted wants a path for timestamps from the signer to the root.
func (w *world) trusted(s *cms.Timestamp) {
	w.t.Helper()
	var above []*cert.Certificate
	for _, m := range w.Members() {
		above = append(above, m.Certificate())
	}
	_, err := certpath.Verify(s.Signer.Certificate, &certpath.Options{
		Anchors: []*cert.Certificate{w.Root()}, Intermediates: above, At: w.now, Purpose: certpath.TimeStamping,
	})
	if err != nil {
		w.t.Error(err)
	}
}

func TestTimestamps(t *testing.T) {
	w := found(t)
	first, err := w.stamp("one")
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.stamp("two")
	if err != nil {
		t.Fatal(err)
	}
	if !first.Time.Equal(w.now) || first.Accuracy != time.Second || first.Serial.Cmp(second.Serial) == 0 || first.Serial.BitLen() < 64 {
		t.Errorf("%v accurate to %v, numbers %v and %v", first.Time, first.Accuracy, first.Serial, second.Serial)
	}
	w.trusted(first)
	w.restart()
	again, err := w.stamp("one")
	if err != nil || !again.Signer.Certificate.Equal(first.Signer.Certificate) {
		t.Errorf("another key after a restart, %v", err)
	}
	if got, err := w.Timestamp(t.Context(), []byte("noise")); err != nil || bytes.Equal(got, nil) {
		t.Errorf("noise: %x, %v", got, err)
	}
	// The key is replaced while its certificate is valid for another year.
	w.now = w.now.AddDate(0, 0, 401)
	if later, err := w.stamp("one"); err != nil || later.Signer.Certificate.Equal(first.Signer.Certificate) {
		t.Errorf("the same key after 401 days, %v", err)
	}
}

// refusedFor wants a refusal with the failure.
func refusedFor(t *testing.T, err error, failure string) {
	t.Helper()
	refused, ok := errors.AsType[*cms.TimestampRefused](err)
	if !ok || len(refused.Failure) != 1 || refused.Failure[0] != failure {
		t.Errorf("%v, want %s", err, failure)
	}
}

// A clock that went back stamps nothing, even after a restart.
func TestTimestampClock(t *testing.T) {
	w := found(t)
	if _, err := w.stamp("now"); err != nil {
		t.Fatal(err)
	}
	then := w.now
	w.now = then.Add(-500 * time.Millisecond)
	if _, err := w.stamp("within the accuracy"); err != nil {
		t.Error(err)
	}
	w.now = then.Add(-2 * time.Second)
	_, err := w.stamp("back")
	refusedFor(t, err, "timeNotAvailable")
	w.restart()
	_, err = w.stamp("back, after a restart")
	refusedFor(t, err, "timeNotAvailable")
	w.now = then.Add(time.Second)
	if _, err := w.stamp("caught up"); err != nil {
		t.Error(err)
	}
}

// An authority that was made for it certifies the signer in the root's place.
func TestTimestampAuthority(t *testing.T) {
	w := found(t)
	if _, err := authority.AddIssuing(t.Context(), w.options(), authority.NewIssuing{
		Line: "stamps", CommonName: "Stamps", Types: []issuance.Type{issuance.TimestampSigner, issuance.MailboxValidated},
	}); err == nil {
		t.Error("an authority for timestamps and mail was made")
	}
	if _, err := authority.AddIssuing(t.Context(), w.options(), authority.NewIssuing{
		Line: "stamps", CommonName: "Stamps", Types: []issuance.Type{issuance.TimestampSigner},
	}); err != nil {
		t.Fatal(err)
	}
	w.restart()
	s, err := w.stamp("text")
	if err != nil {
		t.Fatal(err)
	}
	m, err := w.Member("stamps")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Signer.Certificate.CheckSignatureFrom(m.Certificate()); err != nil {
		t.Error(err)
	}
	w.trusted(s)
	if c := w.issued(); bytes.Equal(c.RawIssuer, m.Certificate().RawSubject) {
		t.Error("it certified a subscriber")
	}
}
