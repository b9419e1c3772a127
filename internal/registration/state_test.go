package registration_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
	"github.com/mailseal/mailseal/internal/validation"
)

// visit is one order, in one state, with what its session knows.
type visit struct {
	*office
	id, secret, code string
	key              crypto.Signer
}

// states brings an order into each state, in the way that leads there.
var states = map[string]func(*testing.T, *visit){
	"applied": func(*testing.T, *visit) {},
	"proven":  func(t *testing.T, v *visit) { v.prove(t) },
	"issued":  func(t *testing.T, v *visit) { v.prove(t); v.enroll(t) },
	"refused": func(t *testing.T, v *visit) {
		for range validation.MaxWrong {
			if _, err := v.Prove(t.Context(), v.id, v.secret, wrongCode); !errors.Is(err, registration.ErrWrongCode) {
				t.Fatal(err)
			}
		}
	},
	"expired": func(_ *testing.T, v *visit) { v.pass(registration.OrderLife) },
	"expired after the proof": func(t *testing.T, v *visit) {
		v.prove(t)
		v.pass(registration.OrderLife)
	},
}

const wrongCode = "BBBBB-BBBBB-BBBBB-BBBBB-BBBBB-BBBBB"

func (v *visit) prove(t *testing.T) {
	t.Helper()
	if _, err := v.Prove(t.Context(), v.id, v.secret, v.code); err != nil {
		t.Fatal(err)
	}
}

func (v *visit) enroll(t *testing.T) {
	t.Helper()
	if _, err := v.Enroll(t.Context(), v.id, v.secret, request(t, v.key)); err != nil {
		t.Fatal(err)
	}
}

// calls is everything that a door can ask for.
var calls = map[string]func(*testing.T, *visit, string) error{
	"order": func(t *testing.T, v *visit, secret string) error { return second(v.Order(t.Context(), v.id, secret)) },
	"resend": func(t *testing.T, v *visit, secret string) error {
		return second(v.Resend(t.Context(), v.id, secret))
	},
	"prove": func(t *testing.T, v *visit, secret string) error {
		return second(v.Prove(t.Context(), v.id, secret, v.code))
	},
	"prove wrongly": func(t *testing.T, v *visit, secret string) error {
		return second(v.Prove(t.Context(), v.id, secret, wrongCode))
	},
	"prove with nonsense": func(t *testing.T, v *visit, secret string) error {
		return second(v.Prove(t.Context(), v.id, secret, "http://example.com/"))
	},
	"prove with nothing": func(t *testing.T, v *visit, secret string) error {
		return second(v.Prove(t.Context(), v.id, secret, ""))
	},
	"enroll": func(t *testing.T, v *visit, secret string) error {
		return second(v.Enroll(t.Context(), v.id, secret, request(t, v.key)))
	},
	"enroll another key": func(t *testing.T, v *visit, secret string) error {
		return second(v.Enroll(t.Context(), v.id, secret, request(t, newKey(t))))
	},
	"enroll nonsense": func(t *testing.T, v *visit, secret string) error {
		return second(v.Enroll(t.Context(), v.id, secret, []byte("nonsense")))
	},
}

func second[T any](_ T, err error) error { return err }

// want says what each call in each state leads to: an error, or the state that
// the order is in afterwards. What is not there must fail with ErrState.
var want = map[string]map[string]any{
	"order": {
		"applied": "applied", "proven": "proven", "issued": "issued", "refused": "refused", "expired": "expired",
		"expired after the proof": "expired",
	},
	"resend":              {"applied": "applied"},
	"prove":               {"applied": "proven"},
	"prove wrongly":       {"applied": registration.ErrWrongCode},
	"prove with nonsense": {"applied": registration.ErrNotACode},
	"prove with nothing":  {"applied": registration.ErrNotACode},
	"enroll":              {"proven": "issued", "issued": "issued"},
	"enroll another key":  {"proven": "issued", "issued": registration.ErrOtherKey},
	"enroll nonsense":     {"proven": registration.ErrRequest, "issued": registration.ErrRequest},
}

// Every call in every state, by the session that asked and by others: only the
// white list above does anything, and only for the right session.
func TestStateMachine(t *testing.T) {
	for from, reach := range states {
		for call, do := range calls {
			t.Run(from+"/"+call, func(t *testing.T) {
				v := &visit{office: open(t), key: newKey(t)}
				order, secret := v.apply(t, "alice@example.org")
				_, other := v.apply(t, "bob@example.org")
				v.id, v.secret, v.code = order.ID, secret, v.office.code(t, "alice@example.org")
				reach(t, v)
				before, issued := v.look(t)
				for who, strange := range map[string]string{"nobody": "", "another session": other, "a guess": strings.Repeat("A", 43)} {
					if err := do(t, v, strange); !errors.Is(err, registration.ErrNotFound) {
						t.Errorf("%s: %v, want %v", who, err, registration.ErrNotFound)
					}
				}
				if after, n := v.look(t); after != before || n != issued {
					t.Errorf("strangers moved the order from %s to %s, certificates from %d to %d", before, after, issued, n)
				}

				err := do(t, v, secret)
				after, n := v.look(t)
				switch want := want[call][from].(type) {
				case string:
					if err != nil || string(after) != want {
						t.Errorf("%v, order is %s, want %s", err, after, want)
					}
				case error:
					if !errors.Is(err, want) || after != before {
						t.Errorf("%v, order is %s, want %v and no change", err, after, want)
					}
				default:
					if !errors.Is(err, registration.ErrState) || after != before {
						t.Errorf("%v, order is %s, want %v and no change", err, after, registration.ErrState)
					}
				}
				if mayIssue := want["enroll"][from] == "issued"; n > issued && !mayIssue || n > 1 {
					t.Errorf("%d certificates were issued", n)
				}
			})
		}
	}
}

// look reads the order's state and counts all certificates.
func (v *visit) look(t *testing.T) (registration.State, int) {
	t.Helper()
	order, err := v.Order(t.Context(), v.id, v.secret)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = v.db.View(t.Context(), func(tx *store.Tx) error {
		row, err := tx.CertificateOf(v.id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if row.State == "issued" {
			n = 1
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return order.State, n
}

// A code proves nothing with another session, order or address, not two times,
// and not after a day.
func TestCodeIsBound(t *testing.T) {
	t.Run("another session for the same address", func(t *testing.T) {
		o := open(t)
		mine, mySecret := o.apply(t, "alice@example.org")
		code := o.code(t, "alice@example.org")
		theirs, theirSecret := o.apply(t, "alice@example.org")
		if _, err := o.Prove(t.Context(), theirs.ID, theirSecret, code); !errors.Is(err, registration.ErrWrongCode) {
			t.Errorf("my code for their order: %v", err)
		}
		if _, err := o.Prove(t.Context(), mine.ID, theirSecret, code); !errors.Is(err, registration.ErrNotFound) {
			t.Errorf("my order with their session: %v", err)
		}
		if _, err := o.Prove(t.Context(), mine.ID, mySecret, code); err != nil {
			t.Errorf("afterwards my own: %v", err)
		}
	})
	t.Run("another address", func(t *testing.T) {
		o := open(t)
		o.apply(t, "mallory@example.com")
		code := o.code(t, "mallory@example.com")
		victim, secret := o.apply(t, "alice@example.org")
		if _, err := o.Prove(t.Context(), victim.ID, secret, code); !errors.Is(err, registration.ErrWrongCode) {
			t.Errorf("%v, want %v", err, registration.ErrWrongCode)
		}
	})
	t.Run("replay", func(t *testing.T) {
		o := open(t)
		order, secret := o.proven(t, "alice@example.org")
		code := o.code(t, "alice@example.org")
		if _, err := o.Prove(t.Context(), order.ID, secret, code); !errors.Is(err, registration.ErrState) {
			t.Errorf("for the same order: %v, want %v", err, registration.ErrState)
		}
		again, secret := o.apply(t, "alice@example.org")
		if _, err := o.Prove(t.Context(), again.ID, secret, code); !errors.Is(err, registration.ErrWrongCode) {
			t.Errorf("for the next order: %v, want %v", err, registration.ErrWrongCode)
		}
	})
	t.Run("replaced by a newer mail", func(t *testing.T) {
		o := open(t)
		order, secret := o.apply(t, "alice@example.org")
		old := o.code(t, "alice@example.org")
		if _, err := o.Resend(t.Context(), order.ID, secret); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Prove(t.Context(), order.ID, secret, old); !errors.Is(err, registration.ErrWrongCode) {
			t.Errorf("the old code: %v, want %v", err, registration.ErrWrongCode)
		}
		if _, err := o.Prove(t.Context(), order.ID, secret, o.code(t, "alice@example.org")); err != nil {
			t.Errorf("the new code: %v", err)
		}
	})
	t.Run("lower case and spaces", func(t *testing.T) {
		o := open(t)
		order, secret := o.apply(t, "alice@example.org")
		code := strings.ToLower(strings.ReplaceAll(o.code(t, "alice@example.org"), "-", " "))
		if _, err := o.Prove(t.Context(), order.ID, secret, code); err != nil {
			t.Error(err)
		}
	})
	for late, want := range map[time.Duration]error{24*time.Hour - time.Second: nil, 24 * time.Hour: registration.ErrState, 1000 * time.Hour: registration.ErrState} {
		t.Run("after "+late.String(), func(t *testing.T) {
			o := open(t)
			order, secret := o.apply(t, "alice@example.org")
			o.pass(late)
			if _, err := o.Prove(t.Context(), order.ID, secret, o.code(t, "alice@example.org")); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		})
	}
}

// The day to enroll in begins with the proof.
func TestProofLate(t *testing.T) {
	o := open(t)
	order, secret := o.apply(t, "alice@example.org")
	o.pass(registration.OrderLife - time.Minute)
	order, err := o.Prove(t.Context(), order.ID, secret, o.code(t, "alice@example.org"))
	if err != nil {
		t.Fatal(err)
	}
	o.pass(time.Hour)
	if !order.Expires.After(o.clock()) {
		t.Errorf("proven, and expired at %v", order.Expires)
	}
	if _, err := o.Enroll(t.Context(), order.ID, secret, request(t, newKey(t))); err != nil {
		t.Errorf("an hour after the proof: %v", err)
	}
}

func TestFiveWrongCodes(t *testing.T) {
	o := open(t)
	order, secret := o.apply(t, "alice@example.org")
	for range validation.MaxWrong {
		// What cannot be a code does not count.
		if _, err := o.Prove(t.Context(), order.ID, secret, "https://example.com/?code=1"); !errors.Is(err, registration.ErrNotACode) {
			t.Fatal(err)
		}
		if _, err := o.Prove(t.Context(), order.ID, secret, wrongCode); !errors.Is(err, registration.ErrWrongCode) {
			t.Fatal(err)
		}
	}
	if _, err := o.Prove(t.Context(), order.ID, secret, o.code(t, "alice@example.org")); !errors.Is(err, registration.ErrState) {
		t.Errorf("the right code after five wrong ones: %v", err)
	}
	order, err := o.Order(t.Context(), order.ID, secret)
	if err != nil || order.State != registration.StateRefused || order.Reason == "" {
		t.Errorf("the order is %+v, %v", order, err)
	}
}

// At most three mails in an hour to one address, in any spelling of it, and for
// one order; more for one network address, which an office may share.
func TestMailsAreLimited(t *testing.T) {
	apply := func(o *office, address, client string) error {
		_, _, err := o.Apply(t.Context(), registration.Application{Email: address, Client: client})
		return err
	}
	t.Run("address", func(t *testing.T) {
		o := open(t)
		for _, spelling := range []string{"alice@example.org", "Alice@example.org", "ALICE@EXAMPLE.ORG"} {
			if err := apply(o, spelling, ""); err != nil {
				t.Fatal(err)
			}
		}
		many, ok := errors.AsType[*registration.TooManyError](apply(o, "aLiCe@example.org", ""))
		if !ok || many.Retry != time.Hour {
			t.Errorf("the fourth: %v", many)
		}
		if err := apply(o, "bob@example.org", ""); err != nil {
			t.Errorf("somebody else: %v", err)
		}
		o.pass(time.Hour)
		if err := apply(o, "alice@example.org", ""); err != nil {
			t.Errorf("an hour later: %v", err)
		}
		if len(o.mails) != 5 {
			t.Errorf("%d mails were sent", len(o.mails))
		}
	})
	t.Run("order", func(t *testing.T) {
		o := open(t)
		order, secret := o.apply(t, "alice@example.org")
		for range 2 {
			if _, err := o.Resend(t.Context(), order.ID, secret); err != nil {
				t.Fatal(err)
			}
		}
		code := o.code(t, "alice@example.org")
		if _, ok := errors.AsType[*registration.TooManyError](second(o.Resend(t.Context(), order.ID, secret))); !ok {
			t.Error("the fourth mail was sent")
		}
		if _, err := o.Prove(t.Context(), order.ID, secret, code); err != nil {
			t.Errorf("the last code after a refused mail: %v", err)
		}
	})
	t.Run("client", func(t *testing.T) {
		o := open(t)
		for i := range validation.MailsPerClient {
			if err := apply(o, fmt.Sprintf("person%d@example.org", i), "192.0.2.1"); err != nil {
				t.Fatal(err)
			}
		}
		if _, ok := errors.AsType[*registration.TooManyError](apply(o, "alice@example.org", "192.0.2.1")); !ok {
			t.Error("one mail too many was sent")
		}
		if err := apply(o, "alice@example.org", "192.0.2.2"); err != nil {
			t.Errorf("another client: %v", err)
		}
	})
}

func TestClient(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1:1234": "192.0.2.1", "[2001:db8::1]:80": "2001:db8::/64", "[2001:db8::ffff:1]:80": "2001:db8::/64", "[2001:db8:0:1::1]:80": "2001:db8:0:1::/64", "[fe80::1%eth0]:80": "fe80::/64", "[::ffff:192.0.2.1]:80": "192.0.2.1",
		"127.0.0.1:80": "", "[::1]:80": "", "[::ffff:127.0.0.1]:80": "", "": "", "pipe": "",
	} {
		if got := registration.Client(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestWeakKeysLeaveTheOrder(t *testing.T) {
	o := open(t)
	order, secret := o.proven(t, "alice@example.org")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{small, p521} {
		weak, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Enroll(t.Context(), order.ID, secret, weak); !errors.Is(err, registration.ErrRequest) {
			t.Errorf("%T: %v, want %v", key, err, registration.ErrRequest)
		}
	}
	if _, err := o.Enroll(t.Context(), order.ID, secret, request(t, newKey(t))); err != nil {
		t.Errorf("afterwards a good key: %v", err)
	}
}

// A key belongs to one person. Who comes with somebody else's may come again
// with another, and the same person may have more certificates with the same.
func TestKeysOfOthers(t *testing.T) {
	o := open(t)
	shared := request(t, newKey(t))
	alice, secret := o.proven(t, "alice@example.org")
	if _, err := o.Enroll(t.Context(), alice.ID, secret, shared); err != nil {
		t.Fatal(err)
	}
	again, secret := o.proven(t, "alice@example.org")
	if _, err := o.Enroll(t.Context(), again.ID, secret, shared); err != nil {
		t.Errorf("the same person once more: %v", err)
	}
	bob, secret := o.proven(t, "bob@example.org")
	_, err := o.Enroll(t.Context(), bob.ID, secret, shared)
	if !errors.Is(err, registration.ErrRequest) || !strings.Contains(err.Error(), "somebody else has a certificate with it") {
		t.Errorf("%v, want %v", err, registration.ErrRequest)
	}
	if _, err := o.Enroll(t.Context(), bob.ID, secret, request(t, newKey(t))); err != nil {
		t.Errorf("afterwards a key of his own: %v", err)
	}
}

// The name is the account's: an unproven application changes nobody's, a
// proven one does, and no certificate has it.
func TestNames(t *testing.T) {
	o := open(t)
	holder := func() (p store.Person) {
		err := o.db.View(t.Context(), func(tx *store.Tx) (err error) {
			p, err = tx.HolderOf("alice@example.org")
			return err
		})
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		return p
	}
	o.apply(t, "alice@example.org")
	if p := holder(); p.ID != "" {
		t.Errorf("before any proof there is an account: %+v", p)
	}
	o.proven(t, "alice@example.org")
	first := holder()
	if first.Name != "Alice Example" {
		t.Errorf("the account is %+v", first)
	}
	if _, _, err := o.Apply(t.Context(), registration.Application{Email: "alice@example.org", Name: "Mallory"}); err != nil {
		t.Fatal(err)
	}
	if p := holder(); p != first {
		t.Errorf("an unproven application changed the account to %+v", p)
	}
	for _, bad := range []string{strings.Repeat("a", 201), "a\x00b", "a\nb", "a\u202eb", "\xff"} {
		if _, _, err := o.Apply(t.Context(), registration.Application{Email: "carol@example.org", Name: bad}); !errors.Is(err, registration.ErrName) {
			t.Errorf("name %q: %v", bad, err)
		}
	}
	if _, _, err := o.Apply(t.Context(), registration.Application{Email: "carol@example.org", Name: strings.Repeat("\u7530", 200), Language: "ja"}); err != nil {
		t.Errorf("200 kanji: %v", err)
	}
}

// Neither the disk nor the log has anything that a thief could use.
func TestNoSecretsAtRest(t *testing.T) {
	o := open(t)
	var log bytes.Buffer
	o.queues(t)
	o.Service = registration.New(registration.Options{
		Store: o.db, Validation: &validation.Validator{Clock: o.clock}, Issuer: o.authority, Mails: o.mailed, Clock: o.clock,
		Log: slog.New(slog.NewJSONHandler(&log, nil)),
	})
	order, secret := o.apply(t, "alice@example.org")
	code := o.code(t, "alice@example.org")
	if _, err := o.Prove(t.Context(), order.ID, secret, wrongCode); err == nil {
		t.Fatal("a wrong code proved something")
	}
	if _, err := o.Prove(t.Context(), order.ID, secret, code); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Enroll(t.Context(), order.ID, secret, request(t, newKey(t))); err != nil {
		t.Fatal(err)
	}
	if log.Len() == 0 {
		t.Error("nothing was logged")
	}
	places := storetest.Content(t, o.source)
	if len(places) == 0 {
		t.Fatal("nothing is stored")
	}
	places["log"] = log.String()
	for place, content := range places {
		for _, s := range []string{secret, code, strings.ReplaceAll(code, "-", ""), "alice@"} {
			if strings.Contains(content, s) && !(s == "alice@" && place != "log") {
				t.Errorf("%s has %q", place, s)
			}
		}
	}
}

func TestStrangersAreForgotten(t *testing.T) {
	o := open(t)
	order, secret := o.apply(t, "alice@example.org")
	kept, keptSecret := o.proven(t, "bob@example.org")
	o.pass(9 * 24 * time.Hour)
	o.apply(t, "carol@example.org")
	if _, err := o.Order(t.Context(), order.ID, secret); !errors.Is(err, registration.ErrNotFound) {
		t.Errorf("an order of nine days ago that proved nothing: %v", err)
	}
	if _, err := o.Order(t.Context(), kept.ID, keptSecret); err != nil {
		t.Errorf("one that proved something: %v", err)
	}
}
