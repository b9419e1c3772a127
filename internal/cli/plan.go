package cli

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/inspect"
	"github.com/mailseal/mailseal/smime"
)

// planOptions are what encrypt and seal have in common: for whom, by what rules, and
// whether only to say what would happen.
type planOptions struct {
	to, bcc       []string
	cipher        string
	profile       string
	trust         []string
	intermediates []string
	crls          []string
	online        onlineOptions
	show          bool
	asJSON        bool
}

func (o *planOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&o.to, "to", nil, "`CERT` of a recipient: a certificate file or bundle, or an address in the key store or the address book (may be repeated)")
	f.StringArrayVar(&o.bcc, "bcc", nil, "`CERT` of a hidden recipient, who gets a message of their own: FILE.bcc1.eml beside -o FILE.eml (may be repeated)")
	f.StringVar(&o.cipher, "cipher", "", fmt.Sprintf("`NAME` of the content cipher, one of %v (default the best that all recipients read)", mailCiphers()))
	f.StringArrayVar(&o.trust, "trust", nil, "`FILE` of trusted roots; every certificate, also one in a file, must lead to one of them (may be repeated)")
	f.StringArrayVar(&o.intermediates, "intermediates", nil, "`FILE` of further certificates for the path (may be repeated)")
	f.StringArrayVar(&o.crls, "crl", nil, "`FILE` of a certificate revocation list, for certificates from the address book and with --trust for all (may be repeated)")
	o.online.addFlags(cmd)
	f.BoolVar(&o.show, "plan", false, "say who could read the mail, by which key, and who not and why; write nothing")
	f.BoolVar(&o.asJSON, "json", false, "with --plan, print one JSON object")
	addProfileFlag(cmd, &o.profile, "for algorithms")
}

// plannable is what a plan is made of.
type plannable struct {
	addressees []smime.Addressee
	policy     *smime.Policy
}

// with is the plan that has the senders in it.
func (pl *plannable) with(senders []smime.Addressee) *smime.Plan {
	return smime.PlanFor(slices.Concat(pl.addressees, senders), pl.policy)
}

// resolve turns names into certificates. It refuses at once what a sender cannot mend,
// before anybody is asked for a passphrase.
func (o *planOptions) resolve(p *program) (*plannable, error) {
	switch {
	case len(o.to)+len(o.bcc) == 0:
		return nil, usage(errors.New("nobody to encrypt to"), "name a certificate file, or an address in the address book, with --to")
	case o.asJSON && !o.show:
		return nil, usage(errors.New("--json is for --plan"), "the mail itself goes to standard output or -o FILE")
	}
	chosen, err := writingProfile(o.profile)
	if err != nil {
		return nil, err
	}
	cipher, err := mailCipher(o.cipher, chosen)
	if err != nil {
		return nil, err
	}
	addressees, err := p.addressees(o.to, o.bcc)
	if err != nil {
		return nil, err
	}
	for i := range addressees {
		for j := range addressees[i].Candidates {
			if c := &addressees[i].Candidates[j]; len(o.trust) > 0 {
				c.Trusted, c.Anchors = false, nil
			}
		}
	}
	policy, err := p.policy(addressees, o.trust, o.intermediates)
	if err != nil {
		return nil, err
	}
	if policy.CRLs, err = readCRLs(o.crls); err != nil {
		return nil, fmt.Errorf("revocation lists: %w", err)
	}
	if policy.Revocation, policy.Issuers, err = o.online.sources(p); err != nil {
		return nil, err
	}
	policy.Profile, policy.Cipher = chosen, cipher
	pl := &plannable{addressees, policy}
	if missing := pl.with(nil).Missing(); len(missing) > 0 && !o.show {
		return nil, missingKeys(missing)
	}
	return pl, nil
}

// mailCipher is the cipher that --cipher names; "" leaves the choice to the plan.
func mailCipher(name string, by *smime.Profile) (cms.Cipher, error) {
	if name == "" {
		return "", nil
	}
	for _, c := range mailCiphers() {
		if strings.EqualFold(c.String(), name) {
			if err := by.Allows(c); err != nil {
				return "", usage(err, "leave --cipher or --profile out")
			}
			return c, nil
		}
	}
	return "", usage(fmt.Errorf("no cipher %q", name), "one of %v; every mail program reads aes-256-cbc", mailCiphers())
}

// carryOut returns the options for each message of a plan that nobody is missing in.
func (p *program) carryOut(plan *smime.Plan) ([]*smime.EncryptOptions, error) {
	for _, m := range plan.Messages {
		for _, e := range m.Entries {
			switch {
			case e.Missing && e.Sender:
				p.say("mailseal: warning: you cannot read this mail again: %s", inspect.Visible(e.Name+": "+e.Why))
			case e.Warning != "":
				p.say("mailseal: warning: %s", inspect.Visible(e.Name+": "+e.Warning))
			}
		}
	}
	return plan.Options()
}

// showPlan is --plan: the answer is no where somebody is missing.
func (o *planOptions) showPlan(p *program, plan *smime.Plan) error {
	if err := p.printPlan(plan, o.asJSON); err != nil {
		return err
	}
	if !plan.Complete {
		return errAnsweredNo
	}
	return nil
}

// missingKeys says whom a key is missing for, and why: nobody is sent anything then.
func missingKeys(missing []smime.PlannedEntry) error {
	var who []string
	for _, e := range missing {
		who = append(who, inspect.Visible(e.Name+": "+e.Why))
	}
	return no(fmt.Errorf("encrypted to nobody, for a key is missing: %s", strings.Join(who, "; ")), "add --plan to see what is known of everybody")
}

func (p *program) printPlan(plan *smime.Plan, asJSON bool) error {
	if asJSON {
		return p.printJSON(plan)
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for _, m := range plan.Messages {
		fmt.Fprintln(table, p.words().say("{}, profile {}", m.Cipher, plan.Profile))
		for _, e := range m.Entries {
			fmt.Fprintf(table, "  %s\t%s\t%s\n", inspect.Visible(e.Name), p.words().say(role(e)), inspect.Visible(p.words().translate(outcome(e))))
		}
	}
	return table.Flush()
}

func role(e smime.PlannedEntry) string {
	switch {
	case e.Sender:
		return "sender"
	case e.Hidden:
		return "hidden"
	}
	return "recipient"
}

// outcome says how somebody gets the key, or why not.
func outcome(e smime.PlannedEntry) string {
	if e.Missing {
		return "MISSING: " + e.Why
	}
	text := fmt.Sprintf("%s, certificate %.16s until %s", e.KeyAlgorithm, e.SHA256, e.NotAfter.Format("2006-01-02"))
	for _, more := range []struct{ label, text string }{{"passed over: ", e.Why}, {"warning: ", e.Warning}} {
		if more.text != "" {
			text += "; " + more.label + more.text
		}
	}
	return text
}

// senderOf is the person who writes the mail, if the key store has them: they get an
// entry too. Nothing is asked for a passphrase.
func (p *program) senderOf(in *input) ([]smime.Addressee, error) {
	e, err := entity.Read(in, in.size)
	if err != nil {
		return nil, nil // encrypting will say so
	}
	from, err := e.Header.Addresses("From")
	if err != nil || len(from) != 1 {
		return nil, nil
	}
	own, err := p.ownCertificates(from[0].Mailbox)
	if err != nil || len(own) == 0 {
		return nil, err
	}
	a := smime.Addressee{Name: from[0].Mailbox.String(), Sender: true}
	for _, c := range own {
		a.Candidates = append(a.Candidates, smime.Candidate{Certificate: c, Trusted: true})
	}
	return []smime.Addressee{a}, nil
}

// sendersOf are those who sign, with the certificates that they ask to be answered with.
func sendersOf(signers []*cms.Signer) []smime.Addressee {
	var all []smime.Addressee
	for _, s := range signers {
		a := smime.Addressee{Name: strings.Join(s.Certificate.Emails(), ", "), Sender: true}
		if a.Name == "" {
			a.Name = s.Certificate.Subject.String()
		}
		if s.Encryption != nil {
			a.Candidates = append(a.Candidates, smime.Candidate{Certificate: s.Encryption, Trusted: true})
		} else {
			a.Candidates = append(a.Candidates, smime.Candidate{Certificate: s.Certificate, Trusted: true})
		}
		all = append(all, a)
	}
	return all
}

// writeAll writes one message for each of the options, the first to path and those of
// hidden recipients beside it. All of them exist, or none.
func (p *program) writeAll(in *input, path string, plan *smime.Plan, all []*smime.EncryptOptions, write func(io.Writer, *smime.EncryptOptions) error) error {
	hidden := 0
	var outputs []*output
	for i, eo := range all {
		to := path
		if plan.Messages[i].Entries[0].Hidden {
			if path == "" || path == "-" {
				return usage(errors.New("each --bcc gets a message of their own"), "name the files' place with -o FILE")
			}
			hidden++
			to = besides(path, hidden)
		}
		out, err := p.createOutput(to, modePublic, in)
		if err != nil {
			return err
		}
		defer out.discard()
		if err := write(out, eo); err != nil {
			return fmt.Errorf("%s: %w", in.name, err)
		}
		outputs = append(outputs, out)
	}
	for _, out := range outputs {
		if err := out.commit(); err != nil {
			return err
		}
	}
	return nil
}

// besides is letter.bcc1.eml for letter.eml.
func besides(path string, n int) string {
	ext := filepath.Ext(path)
	return fmt.Sprintf("%s.bcc%d%s", strings.TrimSuffix(path, ext), n, ext)
}
