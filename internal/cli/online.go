package cli

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/inspect"
	"github.com/mailseal/mailseal/revocation"
	"github.com/mailseal/mailseal/revocation/fetch"
)

// onlineOptions say what may be asked of the places that certificates name.
type onlineOptions struct {
	revocation string
	issuers    bool
}

func (o *onlineOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.revocation, "revocation", "off", "`online` asks the OCSP responders and fetches the CRLs that trusted certificates name; off asks nobody")
	cmd.Flags().BoolVar(&o.issuers, "fetch-issuers", false, "where the certificate of an authority is missing, fetch it from where the one below says it is: whoever made that one learns that, when and from where this was read")
}

// issuerSource is certpath.Options.Issuers.
type issuerSource = func(leaf *cert.Certificate, known []*cert.Certificate) []*cert.Certificate

// sources is who asks: for revocation, and for certificates of authorities; nil for
// what is not allowed. What came is kept in the person's home until its time is over.
func (o *onlineOptions) sources(p *program) (revocation.Fetcher, issuerSource, error) {
	switch o.revocation {
	case "", "off", "online":
	default:
		return nil, nil, usage(fmt.Errorf("--revocation %q is not known", o.revocation), "it is online or off")
	}
	online := o.revocation == "online"
	if !online && !o.issuers {
		return nil, nil, nil
	}
	home, err := p.home()
	if err != nil {
		return nil, nil, err
	}
	f := fetch.New(p.ctx, &fetch.Options{
		Cache: fetch.Folder(filepath.Join(home, "revocation")), Now: p.env.Now(), Loopback: p.env.Loopback,
	})
	var asker revocation.Fetcher
	var issuers issuerSource
	if online {
		asker = f
	}
	if o.issuers {
		issuers = p.issuers(f)
	}
	return asker, issuers, nil
}

// issuers says what comes of asking for certificates of authorities, each thing once.
func (p *program) issuers(f *fetch.Fetcher) issuerSource {
	said := map[string]bool{}
	say := func(format, what string) {
		if text := inspect.Visible(what); !said[text] {
			said[text] = true
			p.say(format, text)
		}
	}
	return func(leaf *cert.Certificate, known []*cert.Certificate) []*cert.Certificate {
		found, err := f.Issuers(leaf, known)
		for _, c := range found {
			say("mailseal: fetched the certificate of %s", c.Subject.String())
		}
		if err != nil {
			say("mailseal: warning: the certificate of an authority could not be fetched: %s", err.Error())
		}
		return found
	}
}
