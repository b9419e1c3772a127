package validation

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
	"github.com/mailseal/mailseal/internal/testdns"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func box(t *testing.T, address string) []mailbox.Mailbox {
	t.Helper()
	m, err := mailbox.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return []mailbox.Mailbox{m}
}

// What CAA records say of mail (RFC 9495 §4, RFC 8659 §3 and §4).
func TestCAA(t *testing.T) {
	server := testdns.New(t)
	clock := now
	v := &Validator{Clock: func() time.Time { return clock }, Resolver: DNS{Server: server.Address, Timeout: time.Second}, CAANames: []string{"ca.example.net"}}
	db := storetest.Open(t)
	server.CAA("ours.example", 60, "issuemail ca.example.net")
	server.CAA("parameters.example", 60, "issuemail CA.example.net; account=7")
	server.CAA("two.example", 60, "issuemail other.example", "issuemail ca.example.net")
	server.CAA("other.example", 60, "issuemail other.example")
	server.CAA("nobody.example", 60, "issuemail ;")
	server.CAA("tls.example", 60, "issue ;", "iodef mailto:a@b.example")
	server.CAA("critical.example", 60, "!future x", "issuemail ca.example.net")
	server.CAA("unknown.example", 60, "future x")
	server.CAA("parent.example", 60, "issuemail ;")
	server.CAA("own.parent.example", 60, "issuemail ca.example.net")
	server.Fail("broken.example", dns.RcodeServerFailure)
	server.CAA("large.example", 60, "issuemail ca.example.net")
	for address, want := range map[string]string{
		"a@ours.example": "", "a@parameters.example": "", "a@two.example": "", "a@tls.example": "", "a@unknown.example": "", "a@none.example": "",
		"a@own.parent.example": "", "a@other.example": "issuemail other.example", "a@nobody.example": "issuemail ;", "a@critical.example": `"future" is not known`,
		"a@parent.example": "issuemail ;", "a@below.parent.example": "parent.example: issuemail ;", "a@broken.example": "SERVFAIL",
	} {
		err := v.AskCAA(t.Context(), db, box(t, address))
		if want == "" && err != nil || want != "" && (!errors.Is(err, ErrCAA) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
	server.OnlyTCP(true)
	if err := v.AskCAA(t.Context(), db, box(t, "a@large.example")); err != nil {
		t.Errorf("an answer that does not fit into a datagram: %v", err)
	}
	server.OnlyTCP(false)

	// What was permitted is relied on for 8 hours, what was not is asked again.
	asked := server.Asked("ours.example")
	server.CAA("ours.example", 60, "issuemail ;")
	permitted := func() error {
		return db.View(t.Context(), func(tx *store.Tx) error { return v.permittedNow(tx, box(t, "a@ours.example")) })
	}
	clock = now.Add(caaLife - time.Second)
	if err := errors.Join(v.AskCAA(t.Context(), db, box(t, "a@ours.example")), permitted()); err != nil || server.Asked("ours.example") != asked {
		t.Errorf("within 8 hours: %v, asked %d times more", err, server.Asked("ours.example")-asked)
	}
	v.permitted.until = nil // as after a start
	if err := permitted(); err != nil {
		t.Errorf("as it is stored: %v", err)
	}
	clock = now.Add(caaLife)
	if err := permitted(); !errors.Is(err, ErrCAA) {
		t.Errorf("after 8 hours: %v", err)
	}
	if err := v.AskCAA(t.Context(), db, box(t, "a@ours.example")); !errors.Is(err, ErrCAA) {
		t.Errorf("asked anew: %v", err)
	}
	server.Silence(true)
	started := time.Now()
	if err := v.AskCAA(t.Context(), db, box(t, "a@silent.example")); !errors.Is(err, ErrCAA) {
		t.Errorf("no answer at all: %v", err)
	}
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("no answer took %v", took)
	}
	v.CAANames = nil
	if err := v.AskCAA(t.Context(), db, box(t, "a@nobody.example")); err != nil {
		t.Errorf("with no name of ours: %v", err)
	}
}

// A warrant is nobody's by itself, and ends with what it stands on.
func TestZeroWarrant(t *testing.T) {
	if (Warrant{}).Valid(now) || (Warrant{order: "o", from: now, until: now.Add(time.Hour)}).Valid(now) {
		t.Error("a warrant for nothing is valid")
	}
	for state, want := range map[string]error{"applied": ErrNotReady, "refused": ErrNotReady, "": ErrNotReady, "Proven": ErrNotReady} {
		v := &Validator{Clock: func() time.Time { return now }}
		if _, err := v.Warrant(nil, store.Order{State: state}); !errors.Is(err, want) || !Withheld(err) {
			t.Errorf("%q: %v", state, err)
		}
	}
}
