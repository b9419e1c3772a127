package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/revocation"
	"github.com/mailseal/mailseal/smime"
)

type certVerifyOptions struct {
	judge          judgeOptions
	purpose        string
	policies       []string
	explicit       bool
	inhibitMapping bool
	inhibitAny     bool
}

// certPurposes are the words of --purpose. The key must be for something that the
// purpose needs: for mail, to sign or to be encrypted to (RFC 8550 §4.4.2).
var certPurposes = map[string]struct {
	purpose certpath.Purpose
	usage   cert.KeyUsage
}{
	"email": {certpath.Email, cert.KeyUsageDigitalSignature | cert.KeyUsageContentCommitment |
		cert.KeyUsageKeyEncipherment | cert.KeyUsageDataEncipherment | cert.KeyUsageKeyAgreement},
	"client-auth": {certpath.ClientAuth, cert.KeyUsageDigitalSignature | cert.KeyUsageKeyAgreement}, // RFC 5280 §4.2.1.12
	"any":         {certpath.AnyPurpose, 0},
}

func newCertVerifyCommand(p *program) *cobra.Command {
	o := &certVerifyOptions{}
	cmd := &cobra.Command{
		Use:   "verify [--trust TA] [--intermediates FILE] [--crl FILE ...] [--purpose email|client-auth|any] [--policy OID ...] [--json] LEAF",
		Short: "say whether a certificate leads to a trusted root",
		Long: `Say whether a certificate leads to a trusted root by the rules of RFC 5280 §6, and if
not, what stands in the way. The path may use the certificates of --intermediates
and those that follow the first one in LEAF.

With --crl, every certificate of the path must be covered by a fresh revocation list
(RFC 5280 §6.3); if one is not, the answer is "revocation-unknown", which is no.
With --revocation online the sources that the certificates name are asked, and must
answer; one that names none stands in nobody's way. Without either nothing is asked
about revocation, and a note says so.

--policy names a certificate policy that you accept (any, if there is none). It
decides where an explicit policy is required, by --explicit-policy or by an
authority on the path.`,
		Example: `  mailseal cert verify alice.pem
  mailseal cert verify --trust root.pem --intermediates issuing.pem --crl issuing.crl --crl root.crl alice.pem
  mailseal cert verify --policy 2.16.840.1.101.3.2.1.48.1 --explicit-policy --json alice.der`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(fmt.Errorf("mailseal cert verify takes one certificate, got %d arguments", len(args)), "run: mailseal cert verify --help")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return p.runCertVerify(cmd.Context(), args[0], o) },
	}
	o.judge.addTrustFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.purpose, "purpose", "email", "what the certificate is to be good for: `email`, client-auth or any")
	f.StringArrayVar(&o.policies, "policy", nil, "an `OID` of a certificate policy that is accepted (may be repeated)")
	f.BoolVar(&o.explicit, "explicit-policy", false, "require that an accepted policy holds for the whole path")
	f.BoolVar(&o.inhibitMapping, "inhibit-policy-mapping", false, "do not let authorities translate policies")
	f.BoolVar(&o.inhibitAny, "inhibit-any-policy", false, "do not let anyPolicy stand for a policy")
	f.BoolVar(&o.judge.asJSON, "json", false, "print the answer as one JSON object")
	return cmd
}

// certVerdict is the answer, as --json prints it.
type certVerdict struct {
	Status smime.Status `json:"status"`
	// Cause is the rule that failed, in a word or two, and Reason the whole story.
	Cause  string `json:"cause"`
	Reason string `json:"reason"`
	// Fault is the certificate that failed it, by its SHA-256.
	Fault    string      `json:"fault"`
	Purpose  string      `json:"purpose"`
	At       time.Time   `json:"at"`
	Policies []string    `json:"policies"`
	Chain    []chainLink `json:"chain"`
	Warnings []string    `json:"warnings"`
}

// chainLink is one certificate of the path, the leaf first.
type chainLink struct {
	Subject    string    `json:"subject"`
	Issuer     string    `json:"issuer"`
	Serial     string    `json:"serial"`
	SHA256     string    `json:"sha256"`
	NotBefore  time.Time `json:"not_before"`
	NotAfter   time.Time `json:"not_after"`
	Revocation string    `json:"revocation"`
}

func (p *program) runCertVerify(ctx context.Context, file string, o *certVerifyOptions) error {
	purpose, known := certPurposes[o.purpose]
	if !known {
		return usage(fmt.Errorf("--purpose %s is not known", o.purpose), "email, client-auth or any")
	}
	policies, err := parsePolicies(o.policies)
	if err != nil {
		return err
	}
	with, err := o.judge.resolve(p)
	if err != nil {
		return err
	}
	certs, err := p.readLeaf(ctx, file)
	if err != nil {
		return err
	}
	q := &pathQuestion{
		leaf: certs[0], crls: with.CRLs, asker: remembered(with.Revocation),
		options: &certpath.Options{
			Anchors: with.Anchors, Intermediates: append(with.Intermediates, certs[1:]...), At: with.At,
			Store: with.Store, Issuers: with.Issuers,
			Purpose: purpose.purpose, KeyUsage: purpose.usage,
			Policies: policies, ExplicitPolicy: o.explicit, InhibitPolicyMapping: o.inhibitMapping, InhibitAnyPolicy: o.inhibitAny,
		},
	}
	v := q.ask()
	v.Purpose = o.purpose
	if o.judge.asJSON {
		err = p.printJSON(v)
	} else {
		err = p.printCertVerdict(p.stdout, v)
	}
	if err == nil && v.Status != smime.StatusValid {
		err = errAnsweredNo
	}
	return err
}

func parsePolicies(texts []string) (list []oid.OID, err error) {
	for _, text := range texts {
		id, err := oid.Parse(text)
		if err != nil {
			return nil, usage(fmt.Errorf("--policy: %w", err), "like 2.23.140.1.5.1.1")
		}
		list = append(list, id)
	}
	return list, nil
}

// readLeaf reads the certificate in question and those that follow it.
func (p *program) readLeaf(ctx context.Context, file string) ([]*cert.Certificate, error) {
	in, err := p.openInput(ctx, file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	data, err := readWhole(in)
	if err != nil {
		return nil, err
	}
	certs, err := cert.ParseAll(data)
	if err != nil {
		return nil, broken(fmt.Errorf("%s: %w", in.name, err), "a certificate in PEM or DER is needed")
	}
	return certs, nil
}

// readWhole reads a certificate file that may be standard input.
func readWhole(in *input) ([]byte, error) {
	if in.size > maxSmallFile {
		return nil, fmt.Errorf("%s is larger than %d MiB; that is no certificate", in.name, maxSmallFile>>20)
	}
	return io.ReadAll(io.NewSectionReader(in, 0, in.size))
}

// pathQuestion is one leaf and what it is judged by.
type pathQuestion struct {
	leaf    *cert.Certificate
	crls    []*cert.CRL
	asker   revocation.Fetcher // nil for nobody
	options *certpath.Options

	states map[*cert.Certificate]revocation.Status // of the path that was asked about last
	path   []*cert.Certificate                     // the first valid path, revoked or not
}

func (q *pathQuestion) ask() *certVerdict {
	if len(q.crls) > 0 || q.asker != nil {
		q.options.Accept = q.checkRevocation
	}
	v := &certVerdict{Status: smime.StatusValid, At: q.options.At.UTC(), Policies: []string{}, Chain: []chainLink{}, Warnings: []string{}}
	chain, err := certpath.Verify(q.leaf, q.options)
	if err != nil {
		v.refuse(err)
		if chain = q.path; chain == nil {
			chain = []*cert.Certificate{q.leaf}
		}
	} else {
		for _, policy := range certpath.Policies(chain, q.options) {
			v.Policies = append(v.Policies, string(policy))
		}
		v.Warnings = append(v.Warnings, certpath.Remarks(chain)...)
	}
	switch {
	case err != nil || len(q.crls) > 0:
	case q.asker == nil:
		v.Warnings = append(v.Warnings, "revocation was not checked: no revocation list was given")
	case q.states[q.leaf] == revocation.NotChecked:
		v.Warnings = append(v.Warnings, "revocation was not checked: the certificate names no source that could be asked")
	}
	for _, c := range chain {
		v.Chain = append(v.Chain, chainLink{
			Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: c.SerialHex(), SHA256: c.SHA256(),
			NotBefore: c.NotBefore, NotAfter: c.NotAfter, Revocation: q.states[c].String(),
		})
	}
	return v
}

// checkRevocation asks about the path: where lists are given, each certificate below
// the anchor must be covered (RFC 5280 §6.1.3 (a) (3)).
func (q *pathQuestion) checkRevocation(chain []*cert.Certificate) error {
	states := map[*cert.Certificate]revocation.Status{}
	var err error
	for i := len(chain) - 2; i >= 0; i-- {
		states[chain[i]], err = q.revocationOf(chain[i:])
	}
	if q.path == nil || err == nil {
		q.path, q.states = chain, states
	}
	return err
}

// revocationOf returns the state of chain[0], and the error of the whole.
func (q *pathQuestion) revocationOf(chain []*cert.Certificate) (revocation.Status, error) {
	status, err := revocation.Check(chain, &revocation.Options{
		Evidence: revocation.Evidence{CRLs: q.crls, Certificates: q.options.Intermediates},
		Fetcher:  q.asker, At: q.options.At, Every: len(q.crls) > 0,
	})
	var above *revocation.Error
	if errors.As(err, &above) && above.Certificate != chain[0] {
		if above.Status == revocation.Revoked {
			return revocation.NotChecked, err // nobody asks below a revoked authority
		}
		return revocation.Good, err
	}
	return status, err
}

// rememberedSources asks about each certificate once: the question about a path comes
// up again for every part of it.
type rememberedSources struct {
	revocation.Fetcher
	got map[*cert.Certificate]fetchedEvidence
}

type fetchedEvidence struct {
	revocation.Evidence
	err error
}

func remembered(f revocation.Fetcher) revocation.Fetcher {
	if f == nil {
		return nil
	}
	return &rememberedSources{f, map[*cert.Certificate]fetchedEvidence{}}
}

// Fetch implements revocation.Fetcher.
func (r *rememberedSources) Fetch(c, issuer *cert.Certificate, answers func(revocation.Evidence) bool) (revocation.Evidence, error) {
	if got, asked := r.got[c]; asked {
		answers(got.Evidence)
		return got.Evidence, got.err
	}
	e, err := r.Fetcher.Fetch(c, issuer, answers)
	r.got[c] = fetchedEvidence{e, err}
	return e, err
}

// refuse says why not.
func (v *certVerdict) refuse(err error) {
	v.Status, v.Reason = smime.PathStatus(err), err.Error()
	var path *certpath.Error
	var revoked *revocation.Error
	switch {
	case errors.As(err, &path):
		v.Cause, v.Fault = path.Reason.String(), path.Certificate.SHA256()
	case errors.As(err, &revoked):
		v.Status, v.Cause, v.Fault = smime.StatusRevocationUnknown, "revocation unknown", revoked.Certificate.SHA256()
		if revoked.Status == revocation.Revoked {
			v.Status, v.Cause = smime.StatusRevoked, "revoked"
		}
	}
}

func (p *program) printCertVerdict(w io.Writer, v *certVerdict) error {
	conclusion := smime.Untrusted
	switch v.Status {
	case smime.StatusValid:
		conclusion = smime.Valid
	case smime.StatusRevoked:
		conclusion = smime.Invalid
	}
	leaf, anchor := v.Chain[0], v.Chain[len(v.Chain)-1]
	s := p.newSheet(w)
	s.headline(conclusion, string(v.Status), certHeadline(v))
	s.row("Certificate", leaf.Subject)
	s.row("Issued by", leaf.Issuer)
	s.row("In force", s.say("{} to {}", clock(leaf.NotBefore), clock(leaf.NotAfter)))
	if v.Status == smime.StatusValid {
		s.row("Trusted by", anchor.Subject)
		for _, link := range v.Chain[1:max(1, len(v.Chain)-1)] {
			s.row("Through", link.Subject)
		}
		s.row("Policies", strings.Join(v.Policies, ", "))
	}
	s.note("Because", v.Reason)
	s.note("Purpose", v.Purpose)
	s.note("Revocation", revocationOf(v.Chain))
	for _, warning := range v.Warnings {
		s.note("Note", warning)
	}
	return s.print()
}

func certHeadline(v *certVerdict) string {
	switch v.Status {
	case smime.StatusValid:
		return "it leads to a trusted root, and every rule on the way holds"
	case smime.StatusExpired:
		return "it leads to a trusted root, but not at this time"
	case smime.StatusRevoked:
		return "do not rely on it: a certificate of its path was revoked"
	case smime.StatusRevocationUnknown:
		return "it cannot be told whether a certificate of its path was revoked"
	case smime.StatusWeak:
		return "its path is too weak to be believed"
	case smime.StatusUnsupported:
		return "this version cannot check its path"
	}
	if v.Cause == certpath.NoPath.String() {
		return "no path leads from it to a trusted root"
	}
	return "it cannot be relied on: a rule of its path is broken"
}

// revocationOf says the state of the path in a word.
func revocationOf(chain []chainLink) string {
	below := chain[:len(chain)-1]
	switch {
	case slices.ContainsFunc(below, func(l chainLink) bool { return l.Revocation == revocation.Revoked.String() }):
		return "revoked"
	case slices.ContainsFunc(below, func(l chainLink) bool { return l.Revocation == revocation.Unknown.String() }):
		return "not known"
	case slices.ContainsFunc(below, func(l chainLink) bool { return l.Revocation == revocation.Good.String() }):
		return "nothing on the path is revoked"
	}
	return "not checked"
}
