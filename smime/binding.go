package smime

import (
	"fmt"

	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/mailbox"
)

// binding is the one address that a certificate must name for the message to be its holder's (RFC 8550 §3).
type binding struct {
	address mailbox.Mailbox
	// problem says why there is no such address; no signature can be valid then.
	problem string
	// shown are all addresses of the From header, for the verdict.
	shown []string
	// warnings are what else is strange about the sender.
	warnings []string
}

// bindSender finds the address. RFC 8550 §3 would take Sender as well; people are shown From and believe From, so it alone counts.
// expected, if not "", is the address that the caller knows the message to be from: it takes the place of a From header that is
// absent, as in a file that was never mailed, and must agree with one that is there.
func bindSender(h entity.Header, expected string, decode func(string) string) binding {
	var b binding
	list, err := h.Addresses("From")
	for _, a := range list {
		b.shown = append(b.shown, a.Mailbox.String())
	}
	switch n := len(h.All("From")); {
	case len(h.Defects) > 0:
		b.problem = fmt.Sprintf("the header can be read in two ways (%s)", h.Defects[0])
	case n > 1:
		b.problem = fmt.Sprintf("the message has %d From headers", n)
	case err != nil:
		b.problem = fmt.Sprintf("the From header cannot be read without guessing (%s)", words(err))
	case n == 0 && expected == "":
		b.problem = "the message has no From header"
	case n == 1 && h.NamesGroup("From"):
		b.problem = "the From header names a group"
	case n == 1 && len(list) != 1:
		b.problem = fmt.Sprintf("the From header names %d addresses", len(list))
	case n == 1:
		b.address = list[0].Mailbox
		b.warnings = pretenders(list[0], decode)
	}
	if expected != "" && b.problem == "" {
		b.expect(expected)
	}
	b.warnSender(h)
	return b
}

// warnSender warns of a Sender other than From (RFC 5322 §3.6.2): programs show it as the one who acts for From, and no signature has
// anything to say about that.
func (b *binding) warnSender(h entity.Header) {
	if !h.Has("Sender") {
		return
	}
	list, err := h.Addresses("Sender")
	if err != nil || len(list) != 1 {
		b.warnings = append(b.warnings, "the Sender header cannot be read without guessing")
		return
	}
	if !b.address.IsZero() && !list[0].Mailbox.Equal(b.address) {
		b.warnings = append(b.warnings, fmt.Sprintf("the Sender header names %s, and the message is from %s; a signature speaks for the latter alone", list[0].Mailbox, b.address))
	}
}

// expect holds the binding to the address that the caller named.
func (b *binding) expect(expected string) {
	m, err := mailbox.ParseUnquoted(expected)
	switch {
	case err != nil:
		b.problem = fmt.Sprintf("the expected sender is not an address: %v", err)
	case b.address.IsZero():
		b.address = m
	case !b.address.Equal(m):
		b.problem = fmt.Sprintf("the message is from %s, not from %s", b.address, m)
	}
}

// pretenders warns of a display name that is or contains another address: programs that show only the name show the wrong sender.
func pretenders(a entity.Address, decode func(string) string) []string {
	var warnings []string
	for _, m := range a.DisplayedAddresses(decode) {
		if !m.Equal(a.Mailbox) {
			warnings = append(warnings, fmt.Sprintf("the sender's display name looks like the address %s; the message is from %s", m, a.Mailbox))
		}
	}
	return warnings
}
