package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/charset"
	"github.com/mailseal/mailseal/smime"
)

// headerOptions say what becomes of a mail's header.
type headerOptions struct{ protect string }

func (o *headerOptions) addFlag(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.protect, "protect-headers", "", "protect Subject, From, To and the rest too (RFC 9788): `compat` hides nothing, modern hides the Subject of an encrypted mail (without a value what the profile says)")
	f.Lookup("protect-headers").NoOptDefVal = "profile"
}

// policy turns the flag into RFC 9788's word.
func (o *headerOptions) policy(by *smime.Profile) (smime.HeaderPolicy, error) {
	switch o.protect {
	case "":
		return smime.HeadersUnprotected, nil
	case "profile":
		return by.Headers(), nil
	case "compat":
		return smime.HeadersVisible, nil
	case "modern":
		return smime.HeadersBaseline, nil
	}
	return "", usage(fmt.Errorf("--protect-headers=%s", o.protect), "compat or modern")
}

// contentOptions say what is encrypted.
type contentOptions struct {
	compress bool
	headers  headerOptions
}

func (o *contentOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.compress, "compress", false, "compress what is encrypted; not every mail program reads that")
	o.headers.addFlag(cmd)
}

func (o *contentOptions) apply(eo *smime.EncryptOptions, by *smime.Profile) (err error) {
	eo.Compress, eo.DecodeHeader = o.compress, charset.DecodeHeader
	eo.Headers, err = o.headers.policy(by)
	return err
}

const redateHelp = "give a mail whose Date is more than 55 minutes from now the present one; --redate=false refuses it"

// dated says what to do about a mail that is too old, or too new, to be signed now.
func dated(err error) error {
	var wrong *smime.DateError
	if !errors.As(err, &wrong) {
		return err
	}
	return broken(err, "correct its Date, or let it have the present one: leave --redate=false out")
}

// sayRedated tells that a mail was given another Date.
func (p *program) sayRedated(old time.Time) {
	p.say("mailseal: note: the mail was dated %s and has the present Date now: mail programs refuse a signature made at another time", old.Format(time.RFC1123Z))
}
