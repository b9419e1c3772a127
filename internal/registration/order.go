package registration

import (
	"errors"
	"net/netip"
	"time"

	"github.com/mailseal/mailseal/internal/mailqueue"
)

// State is where an order stands. It only moves forward: applied -> proven ->
// issued, or out of one of the first two into refused or expired.
type State string

// The states of an order. Applied, proven, issued and refused are stored;
// expired is what an applied or a proven order is called after its Expires.
const (
	StateApplied State = "applied" // a code was mailed, nobody has proven anything yet
	StateProven  State = "proven"  // every mailbox of the order is proven, a request may be sent
	StateIssued  State = "issued"  // the certificate exists
	StateRefused State = "refused" // ended without a certificate, Order.Reason says why
	StateExpired State = "expired" // ran out of time
)

// Application is what a person asks for: one certificate for one mailbox.
type Application struct {
	Email    string // the mailbox as typed; refused unless internal/mailbox accepts it
	Name     string // for the account and the PKCS#12 label only, never for the certificate; may be empty
	Language string // of the mail with the code: "en" or "ja", anything else is English

	// Client is what the door knows of who asks, as [Client] has it; mails asked
	// for by one client are limited in number. Empty means that the door knows
	// nothing and only the address is limited.
	Client string
}

// Client names who asks, from the network address of a request: of IPv6 the
// first 64 bits, since one household has all addresses behind them; empty for
// loopback, which everybody on this machine shares.
func Client(remoteAddr string) string {
	at, err := netip.ParseAddrPort(remoteAddr)
	if err != nil || at.Addr().Unmap().IsLoopback() {
		return ""
	}
	addr := at.Addr().Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	return netip.PrefixFrom(addr, 64).Masked().String()
}

// Order is the public face of one order: what the session that asked may see.
type Order struct {
	ID       string // 128 random bits, lower-case base32
	State    State
	Email    string // byte for byte the mailbox that was mailed to and that the certificate names
	Name     string
	Language string // "en" or "ja"
	Created  time.Time
	Expires  time.Time // when an applied or proven order ends
	Reason   string    // why it was refused, for people; empty otherwise

	Addresses    []string // all mailboxes that the certificate will name; Email is the first
	Organization string   // empty: the person asked for themselves
	Person       string   // empty until one is known
	Kind         OrderKind
	Profile      string // the name of what the certificate will be like
	Issuer       string // local, external
	Use          string // of the key: dual, signing, encryption
	RequestedBy  string // as the audit log names them
	ApprovedBy   string // somebody else, where that was asked for
	Approved     time.Time
	WaitingFor   WaitingFor // of an open order
	Replaces     string     // the certificate that this one is to replace

	// TriesLeft is how many wrong codes an applied order still bears; only
	// [Service.Order] looks it up.
	TriesLeft int

	// Mail is what became of the last mail with a code; its zero value where
	// nobody looked.
	Mail Mail
}

// Mail is what became of a mail with a code.
type Mail = mailqueue.Mail

// The ways in which an order is refused a step. A door translates them once,
// at its edge; errors of the machine itself (disk, database) are none of them.
var (
	// ErrAddress: the address is not one mailbox in plain form.
	ErrAddress = errors.New("registration: address not accepted")
	// ErrName: the person's name is too long or holds control characters.
	ErrName = errors.New("registration: name not accepted")
	// ErrNotFound: no such order, or the secret is not that of the session
	// that asked for it. The two look alike on purpose.
	ErrNotFound = errors.New("registration: no such order for this session")
	// ErrState: the order is not in a state that allows the step.
	ErrState = errors.New("registration: the order does not allow this now")
	// ErrNotACode: what was entered does not have the form of a code. It does
	// not count as a try.
	ErrNotACode = errors.New("registration: not a code")
	// ErrWrongCode: a code, but not the one that was mailed for this order.
	ErrWrongCode = errors.New("registration: wrong code")
	// ErrRequest: the certification request cannot be used (malformed, not
	// signed by its key, key too weak or of a kind not allowed).
	ErrRequest = errors.New("registration: certification request not accepted")
	// ErrNoOrganization: the certificate is of no organization, and its holder asks
	// for another one as anybody does.
	ErrNoOrganization = errors.New("registration: the certificate is of no organization")
	// ErrOtherKey: the order was already enrolled with another key.
	ErrOtherKey = errors.New("registration: the order belongs to another key")
)

// UndeliverableError tells that no mail reaches the address.
type UndeliverableError struct {
	Reason string // of the mail server, for the person who gave the address
}

// Error implements error. Logs do without the reason, which may name the address.
func (e *UndeliverableError) Error() string { return "registration: no mail reaches the address" }

// TooManyError tells that too many mails were asked for.
type TooManyError struct {
	Retry time.Duration // when asking again makes sense
}

// Error implements error.
func (e *TooManyError) Error() string {
	return "registration: too many mails asked for, try again in " + e.Retry.Round(time.Minute).String()
}
