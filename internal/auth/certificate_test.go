package auth

import (
	"errors"
	"testing"
	"time"
)

func TestCertificates(t *testing.T) {
	f, token := claimed(t)
	mine, others := make([]byte, 32), []byte("another certificate's fingerprint")
	if _, _, err := f.SignInByCertificate(t.Context(), mine); !errors.Is(err, ErrCertificate) {
		t.Errorf("before it was added: %v", err)
	}
	if err := f.AddCertificate(t.Context(), "guessed", mine); !errors.Is(err, ErrNoSession) {
		t.Errorf("without a session: %v", err)
	}
	if err := f.AddCertificate(t.Context(), token, mine); err != nil {
		t.Fatal(err)
	}
	if err := f.AddCertificate(t.Context(), token, others); !errors.Is(err, ErrWeak) {
		t.Errorf("another one, with a password alone: %v", err)
	}
	session, again, err := f.SignInByCertificate(t.Context(), mine)
	if err != nil || again == token || again == "" {
		t.Fatalf("%v, token %q", err, again)
	}
	if holder, err := f.HolderOfCertificate(t.Context(), mine); err != nil || holder.ID != session.Account.ID {
		t.Errorf("holder %+v, %v", holder, err)
	}
	if s, err := f.Session(t.Context(), again); err != nil || !s.Strong {
		t.Errorf("the session: %+v, %v", s, err)
	}
	if err := f.AddCertificate(t.Context(), again, mine); !errors.Is(err, ErrCertificate) {
		t.Errorf("a second time: %v", err)
	}
	if _, _, err := f.SignInByCertificate(t.Context(), others); !errors.Is(err, ErrCertificate) {
		t.Errorf("another one: %v", err)
	}
	f.now = f.now.Add(SessionLife + time.Second)
	if err := f.AddCertificate(t.Context(), again, others); !errors.Is(err, ErrNoSession) {
		t.Errorf("after the session ended: %v", err)
	}
}
