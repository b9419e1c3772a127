package smime

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/revocation"
)

// Addressee is one who shall be able to read a message, with the certificates that are known of them.
type Addressee struct {
	// Name is what people call them: an address, or the file that their certificate is in.
	Name string
	// Address, if not "", must be named by the certificate.
	Address    string
	Candidates []Candidate
	// Sender: the one who writes. Without an entry of their own they cannot read what they sent, which is worth a warning and no reason
	// to refuse.
	Sender bool
	// Hidden: a recipient in Bcc, of whom the others must not know.
	Hidden bool
	// Hint says what else is known where no candidate will do: that a new certificate waits to be accepted.
	Hint string
}

// Candidate is a certificate that a message may be encrypted to.
type Candidate struct {
	Certificate *cert.Certificate
	// Chain may help to lead to an anchor; Anchors are trusted for this certificate beside those of the policy.
	Chain, Anchors []*cert.Certificate
	// Capabilities are those of the holder's last valid signature; without any the certificate's own count (RFC 4262).
	Capabilities []cms.Capability
	// Trusted: the caller was given the certificate by hand, so that no path is asked for.
	Trusted bool
}

// Policy is what certificates and ciphers are judged by.
type Policy struct {
	// Profile is compat if nil.
	Profile *Profile
	// At is the time for which certificates are judged. It must be set.
	At time.Time
	// Anchors and Intermediates decide about the candidates that are not trusted already.
	Anchors, Intermediates []*cert.Certificate
	// Store has further anchors.
	Store certpath.AnchorStore
	// CRLs, if there are any, must say of each candidate that is not trusted already that it is not revoked. Revocation, if not nil,
	// is asked to fetch what such candidates name as their sources, once their path has ended at an anchor; a source that is asked
	// must answer.
	CRLs       []*cert.CRL
	Revocation revocation.Fetcher
	// Issuers, if not nil, is asked for certificates of authorities that are missing; see [certpath.Options].
	Issuers func(leaf *cert.Certificate, known []*cert.Certificate) []*cert.Certificate
	// Cipher, if not "", takes the place of the profile's choice.
	Cipher cms.Cipher
}

// Plan says, before any ciphertext exists, who will be able to read a message, by which key, and who will not, and why.
type Plan struct {
	Profile string `json:"profile"`
	// Complete: nobody is missing.
	Complete bool `json:"complete"`
	// Messages are one for all recipients who may know of each other, and one for each hidden recipient.
	Messages []PlannedMessage `json:"messages"`

	refused error // the policy contradicts itself
}

// PlannedMessage is one ciphertext.
type PlannedMessage struct {
	// Cipher is the strongest that all can read.
	Cipher string `json:"cipher"`
	// DeriveKey: all say that they read content keys that are bound to their cipher (RFC 9709).
	DeriveKey bool           `json:"derive_key"`
	Entries   []PlannedEntry `json:"recipients"`

	cipher cms.Cipher
}

// PlannedEntry is one recipient of a message.
type PlannedEntry struct {
	Name   string `json:"name"`
	Sender bool   `json:"sender"`
	Hidden bool   `json:"hidden"`
	// Missing: no certificate will do. Why says so in words for each, and what can be done.
	Missing bool   `json:"missing"`
	Why     string `json:"why,omitempty"`
	// Reasons are those of all candidates that were not chosen, for programs.
	Reasons []PlanReason `json:"reasons,omitempty"`
	// KeyAlgorithm is how the recipient gets the content key.
	KeyAlgorithm string    `json:"key_algorithm,omitempty"`
	Subject      string    `json:"subject,omitempty"`
	SHA256       string    `json:"sha256,omitempty"`
	NotAfter     time.Time `json:"not_after,omitzero"`
	// Warning is what should be known of an entry that is there.
	Warning string `json:"warning,omitempty"`

	// Certificate is the chosen one; nil if missing.
	Certificate *cert.Certificate `json:"-"`

	options cms.RecipientOptions
	said    capabilities
	reads   []cms.Cipher
	derives bool
}

// PlanReason is why a certificate was not chosen.
type PlanReason string

// The reasons.
const (
	PlanUnknown         PlanReason = "unknown"          // there is no certificate
	PlanExpired         PlanReason = "expired"          // it has ended
	PlanNotYetValid     PlanReason = "not-yet-valid"    // it has not begun
	PlanKeyUsage        PlanReason = "key-usage"        // its key is not for encryption
	PlanPurpose         PlanReason = "purpose"          // it is not for mail
	PlanWeak            PlanReason = "weak"             // its key or a signature above it can be broken
	PlanUntrusted       PlanReason = "untrusted"        // no path to a trust anchor
	PlanRevoked         PlanReason = "revoked"          // or no list says that it is not
	PlanAddressMismatch PlanReason = "address-mismatch" // it names others
	PlanMalformed       PlanReason = "malformed"        // it breaks the standard, or its key is of an unknown kind
	PlanProfile         PlanReason = "profile"          // the profile has no use for such a key
	PlanCipher          PlanReason = "cipher"           // its holder's programs read no cipher that is written, or none that the others read
)

// PlanFor judges every candidate by the policy and chooses a certificate for each addressee, then for each message the strongest cipher
// that all of its recipients can read; the sender, whose program this is, reads every one. It is a function of its arguments alone.
//
// One certificate that has ended or will not do for another reason never hides a good one.
func PlanFor(to []Addressee, o *Policy) *Plan {
	pl := planner{Policy: *o, profile: o.Profile.orDefault()}
	plan := &Plan{Profile: pl.profile.Name}
	if o.Cipher != "" {
		plan.refused = pl.profile.Allows(o.Cipher)
	}
	var visible, hidden, senders []PlannedEntry
	for _, a := range to {
		e := pl.entry(&a)
		switch {
		case a.Sender:
			senders = append(senders, e)
		case a.Hidden:
			hidden = append(hidden, e)
		default:
			visible = append(visible, e)
		}
	}
	if len(visible) > 0 || len(hidden) == 0 {
		plan.Messages = append(plan.Messages, pl.message(visible, senders))
	}
	for _, h := range hidden { // RFC 5652 §6.2 names every recipient to every other one
		plan.Messages = append(plan.Messages, pl.message([]PlannedEntry{h}, senders))
	}
	plan.Complete = plan.refused == nil && len(plan.Missing()) == 0
	return plan
}

// Missing returns the recipients who could not read the message. The sender is none of them.
func (p *Plan) Missing() []PlannedEntry {
	var out []PlannedEntry
	for _, m := range p.Messages {
		for _, e := range m.Entries {
			if e.Missing && !e.Sender {
				out = append(out, e)
			}
		}
	}
	return out
}

// MissingError: there are recipients who could not read the message, so nobody gets it.
type MissingError struct{ Entries []PlannedEntry }

func (e *MissingError) Error() string {
	var who []string
	for _, m := range e.Entries {
		who = append(who, m.Name+" ("+m.Why+")")
	}
	return "smime: no key for " + strings.Join(who, "; ")
}

// Options are those with which each message is to be encrypted, in the order of Messages; a [MissingError] unless the plan is complete.
func (p *Plan) Options() ([]*EncryptOptions, error) {
	if p.refused != nil {
		return nil, p.refused
	}
	if missing := p.Missing(); len(missing) > 0 {
		return nil, &MissingError{missing}
	}
	var all []*EncryptOptions
	for _, m := range p.Messages {
		o := &EncryptOptions{Cipher: m.cipher, DeriveKey: m.DeriveKey}
		for _, e := range m.Entries {
			if e.Missing {
				continue // a sender
			}
			r, err := cms.NewRecipient(e.Certificate, &e.options)
			if err != nil {
				return nil, fmt.Errorf("smime: %s: %w", e.Name, err)
			}
			o.Recipients = append(o.Recipients, r)
		}
		all = append(all, o)
	}
	return all, nil
}

type planner struct {
	Policy
	profile *Profile
}

// entry chooses among the candidates of one addressee.
func (pl *planner) entry(a *Addressee) PlannedEntry {
	e := PlannedEntry{Name: a.Name, Sender: a.Sender, Hidden: a.Hidden}
	var good []PlannedEntry
	var why []string
	for _, c := range a.Candidates {
		fit := e
		if reason, text := pl.judge(a, &c, &fit); reason != "" {
			e.Reasons = append(e.Reasons, reason)
			why = append(why, text)
			continue
		}
		good = append(good, fit)
	}
	if len(good) == 0 {
		if len(a.Candidates) == 0 {
			e.Reasons, why = []PlanReason{PlanUnknown}, []string{"no certificate is known"}
		}
		if a.Hint != "" {
			why = append(why, a.Hint)
		}
		e.Missing, e.Why = true, strings.Join(why, "; ")
		return e
	}
	slices.SortStableFunc(good, pl.better)
	best := good[0]
	best.Reasons, best.Why = e.Reasons, strings.Join(why, "; ")
	return best
}

// better orders certificates of one holder: the kind of key that the profile wants, then the one that ends last, which is the renewed
// one.
func (pl *planner) better(a, b PlannedEntry) int {
	if ka, kb := pl.rank(a), pl.rank(b); ka != kb {
		return ka - kb
	}
	return b.NotAfter.Compare(a.NotAfter)
}

// rank puts ML-KEM first where the profile wants it, or where the holder's programs say that they read it, and last otherwise.
func (pl *planner) rank(e PlannedEntry) int {
	switch {
	case !isKEM(e.Certificate):
		return 1
	case pl.profile.kem || e.said.has(e.Certificate.SPKIAlgorithm.Algorithm):
		return 0
	}
	return 2
}

// judge says why a candidate will not do, or fills the entry in.
func (pl *planner) judge(a *Addressee, c *Candidate, e *PlannedEntry) (PlanReason, string) {
	reason, text := pl.judgeCertificate(a, c)
	if reason == "" {
		reason, text = pl.judgeHolder(a, c, e)
	}
	if reason != "" {
		return reason, fmt.Sprintf("certificate %.16s %s", c.Certificate.SHA256(), text)
	}
	e.Certificate = c.Certificate
	e.Subject, e.SHA256, e.NotAfter = c.Certificate.Subject.String(), c.Certificate.SHA256(), c.Certificate.NotAfter
	return "", ""
}

const day = "2006-01-02"

// judgeCertificate is what RFC 5280, RFC 8550 and RFC 8551 ask of a certificate before a message is encrypted to it.
func (pl *planner) judgeCertificate(a *Addressee, c *Candidate) (PlanReason, string) {
	leaf := c.Certificate
	switch {
	case len(leaf.Defects) > 0:
		return PlanMalformed, fmt.Sprintf("is malformed (%v)", leaf.Defects[0])
	case leaf.BasicConstraints.CA:
		return PlanKeyUsage, "is an authority's, not a person's"
	case !leaf.CanEncrypt():
		return PlanKeyUsage, "is for signatures only" + usageOf(leaf)
	case leaf.HasExtKeyUsage && !slices.Contains(leaf.ExtKeyUsage, oid.EmailProtection) && !slices.Contains(leaf.ExtKeyUsage, oid.AnyExtendedKeyUsage):
		return PlanPurpose, "is not for mail"
	case pl.At.After(leaf.NotAfter):
		return PlanExpired, "expired on " + leaf.NotAfter.Format(day)
	case pl.At.Before(leaf.NotBefore):
		return PlanNotYetValid, "begins on " + leaf.NotBefore.Format(day)
	}
	if key, ok := leaf.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < minRSA {
		return PlanWeak, fmt.Sprintf("has a key of %d bits, %d are needed", key.N.BitLen(), minRSA)
	}
	if a.Address != "" {
		m, err := mailbox.Parse(a.Address)
		if err != nil || !certpath.Names(leaf, m) {
			return PlanAddressMismatch, "does not name " + a.Address
		}
	}
	return pl.judgePath(c)
}

func usageOf(c *cert.Certificate) string {
	if !c.HasKeyUsage {
		return ""
	}
	return " (key usage " + c.KeyUsage.String() + ")"
}

// encipherment is the key usage of a certificate that is encrypted to.
const encipherment = cert.KeyUsageKeyEncipherment | cert.KeyUsageKeyAgreement

func (pl *planner) judgePath(c *Candidate) (PlanReason, string) {
	if c.Trusted {
		return "", ""
	}
	chain, err := certpath.Verify(c.Certificate, &certpath.Options{
		Anchors:       slices.Concat(pl.Anchors, c.Anchors),
		Store:         pl.Store,
		Intermediates: slices.Concat(pl.Intermediates, c.Chain),
		At:            pl.At, KeyUsage: encipherment,
		Issuers: pl.Issuers,
	})
	if err == nil {
		return pl.judgeRevocation(chain)
	}
	switch reasonOf(err) {
	case certpath.Expired:
		return PlanExpired, fmt.Sprintf("is not trusted (%v)", err)
	case certpath.Weak:
		return PlanWeak, fmt.Sprintf("is not trusted (%v)", err)
	}
	return PlanUntrusted, fmt.Sprintf("is not trusted (%v)", err)
}

// judgeRevocation asks the lists that the caller gave, and the sources that the certificates name.
func (pl *planner) judgeRevocation(chain []*cert.Certificate) (PlanReason, string) {
	if len(pl.CRLs) == 0 && pl.Revocation == nil {
		return "", ""
	}
	status, err := revocation.Check(chain, &revocation.Options{
		Evidence: revocation.Evidence{CRLs: pl.CRLs, Certificates: pl.Intermediates}, Fetcher: pl.Revocation, At: pl.At,
	})
	switch {
	case status == revocation.Good, status == revocation.NotChecked && len(pl.CRLs) == 0:
		return "", ""
	case status == revocation.Revoked:
		return PlanRevoked, fmt.Sprintf("is revoked (%v)", err)
	case askedInVain(err):
		return PlanRevoked, fmt.Sprintf("may be revoked (%v)", err)
	}
	return PlanRevoked, "may be revoked: none of the lists says that it is not"
}

// judgeHolder fits algorithms to what the holder's programs read.
func (pl *planner) judgeHolder(a *Addressee, c *Candidate, e *PlannedEntry) (PlanReason, string) {
	said := capabilitiesOf(c.Capabilities, c.Certificate)
	if err := pl.profile.writes(); err != nil {
		return PlanProfile, err.Error()
	}
	if pl.profile.onlyRSA && !isRSA(c.Certificate) {
		return PlanProfile, fmt.Sprintf("is for %s; profile %s encrypts with RSAES-OAEP alone", c.Certificate.SPKIAlgorithm.Algorithm.Name(), pl.profile.Name)
	}
	if isRSA(c.Certificate) {
		if e.options.OAEP = said.oaep(); pl.profile.oaep && e.options.OAEP == 0 {
			e.options.OAEP = crypto.SHA256
		}
	}
	e.KeyAlgorithm = keyAlgorithm(c.Certificate, e.options.OAEP)
	if _, err := cms.NewRecipient(c.Certificate, &e.options); err != nil {
		return PlanMalformed, fmt.Sprintf("cannot be encrypted to (%s)", words(err))
	}
	e.said, e.derives = said, said.has(oid.CEKHKDFSHA256)
	var named []string
	e.reads, named = pl.reads(c.Certificate, said)
	switch {
	case a.Sender:
		e.reads, e.derives = nil, true
	case pl.Cipher != "" && !slices.Contains(e.reads, pl.Cipher) && len(named) > 0:
		e.Warning = fmt.Sprintf("does not say that it reads %s (%s)", pl.Cipher, strings.Join(named, ", "))
	case pl.Cipher == "" && len(e.reads) == 0:
		return PlanCipher, fmt.Sprintf("is of one whose programs read only %s, which is not written", strings.Join(named, ", "))
	}
	if pl.profile.kem && !isKEM(c.Certificate) {
		e.Warning = "a quantum computer could open the message by this entry; the holder has no key for ML-KEM"
	}
	return "", ""
}

// reads are the profile's ciphers that a holder reads, best first: as their programs say, or else what is presumed.
func (pl *planner) reads(c *cert.Certificate, said capabilities) (reads []cms.Cipher, named []string) {
	known, named := said.ciphers()
	if len(named) == 0 {
		known = pl.profile.unknown
		if isKEM(c) {
			known = pl.profile.ciphers // a program that knows ML-KEM knows what is older
		}
	}
	if slices.Contains(known, cms.AES256GCM) || slices.Contains(known, cms.AES128GCM) {
		known = append(slices.Clone(known), cms.AES128CBC) // S/MIME 4.0, which has to read that (RFC 8551 §2.7), said or not
	}
	for _, cipher := range pl.profile.ciphers {
		if slices.Contains(known, cipher) {
			reads = append(reads, cipher)
		}
	}
	return reads, named
}

// message chooses the cipher for one group.
func (pl *planner) message(to, senders []PlannedEntry) PlannedMessage {
	m := PlannedMessage{Entries: slices.Concat(to, withoutTwins(to, senders)), DeriveKey: true, cipher: pl.Cipher}
	if m.cipher == "" {
		m.cipher = pl.strongest(m.Entries)
	}
	m.Cipher = m.cipher.String()
	for i := range m.Entries {
		e := &m.Entries[i]
		switch {
		case e.Missing:
		case pl.Cipher == "" && !e.Sender && !slices.Contains(e.reads, m.cipher):
			e.Missing, e.Reasons = true, append(e.Reasons, PlanCipher)
			e.Why = fmt.Sprintf("reads %v, and the others %s: send them messages of their own", e.reads, m.cipher)
		default:
			m.DeriveKey = m.DeriveKey && e.derives
		}
	}
	return m
}

// withoutTwins leaves senders out who are among the recipients: one certificate, one entry.
func withoutTwins(to, senders []PlannedEntry) []PlannedEntry {
	var out []PlannedEntry
	for _, s := range senders {
		twin := func(e PlannedEntry) bool { return e.Certificate != nil && e.Certificate.Equal(s.Certificate) }
		if !slices.ContainsFunc(to, twin) && !slices.ContainsFunc(out, twin) {
			out = append(out, s)
		}
	}
	return out
}

// strongest is the best of the profile's ciphers that all read or, when there is none, that most do.
func (pl *planner) strongest(entries []PlannedEntry) cms.Cipher {
	best, most := cms.AES256CBC, -1
	for _, cipher := range pl.profile.ciphers {
		readers := 0
		for _, e := range entries {
			if e.Missing || e.Sender || slices.Contains(e.reads, cipher) {
				readers++
			}
		}
		if readers > most {
			best, most = cipher, readers
		}
	}
	return best
}

func isRSA(c *cert.Certificate) bool {
	switch c.SPKIAlgorithm.Algorithm {
	case oid.RSAEncryption, oid.RSAESOAEP, oid.RSASSAPSS:
		return true
	}
	return false
}

func isKEM(c *cert.Certificate) bool {
	switch c.SPKIAlgorithm.Algorithm {
	case oid.MLKEM512, oid.MLKEM768, oid.MLKEM1024:
		return true
	}
	return false
}

// keyAlgorithm names for people how a content key gets to a holder.
func keyAlgorithm(c *cert.Certificate, oaep crypto.Hash) string {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		switch {
		case oaep != 0:
			return "RSAES-OAEP " + oaep.String()
		case c.SPKIAlgorithm.Algorithm == oid.RSAESOAEP:
			return "RSAES-OAEP"
		}
		return "RSA PKCS #1 v1.5"
	case *ecdsa.PublicKey:
		return "ECDH " + key.Params().Name
	}
	if isKEM(c) {
		return c.SPKIAlgorithm.Algorithm.Name()
	}
	return "ECDH " + c.SPKIAlgorithm.Algorithm.Name()
}
