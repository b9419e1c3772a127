package server

import (
	"errors"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/config"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store/storetest"
	"github.com/mailseal/mailseal/internal/testdns"
	"github.com/mailseal/mailseal/internal/validation"
)

// The resolver and the names of the settings are those that count.
func TestDNSOfTheSettings(t *testing.T) {
	dns := testdns.New(t)
	dns.CAA("ours.example", 60, "issuemail ca.example.org")
	dns.CAA("other.example", 60, "issuemail ca.example.net")
	s := &system{Config: Config{Clock: time.Now, Settings: &config.Settings{DNS: config.DNS{Server: dns.Address, CAA: []string{"ca.example.org"}}}}}
	db := storetest.Open(t)
	for address, want := range map[string]error{"a@ours.example": nil, "a@other.example": validation.ErrCAA} {
		m, err := mailbox.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.validator().AskCAA(t.Context(), db, []mailbox.Mailbox{m}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", address, err, want)
		}
	}
	s.Dev, s.DNS = true, dns.Address
	if got := s.validator().Resolver.(validation.DNS).Server; got != dns.Address {
		t.Errorf("--dns: %s is asked", got)
	}
}
