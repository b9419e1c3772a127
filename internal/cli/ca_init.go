package cli

import (
	"cmp"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/keys"
)

// foundingOptions are what is fixed when authorities are made.
type foundingOptions struct {
	caOptions
	operator   string
	country    string
	baseURL    string
	arc        string
	domains    []string
	partitions int
	rootKey    string
	issuingKey string
	root       string // file of an offline root's certificate
	output     string
}

func (o *foundingOptions) addFlags(cmd *cobra.Command) {
	o.addCeremony(cmd)
	o.addAlgorithm(cmd)
	f := cmd.Flags()
	f.StringVar(&o.operator, "operator", "", "`NAME` of the organization that runs the authority, in its certificates (else a prompt)")
	f.StringVar(&o.country, "country", "XX", "two letters of its `COUNTRY`; XX for none")
	f.StringVar(&o.baseURL, "base-url", "", "http `URL` under which revocation lists and certificates are served; it stands in every certificate and cannot be changed (else a prompt)")
	f.StringVar(&o.arc, "policy-arc", "", "object identifier `OID` under which the operator's policies are (default a new one, 2.25 with a random UUID)")
	f.StringArrayVar(&o.domains, "mail-domain", nil, "mail `DOMAIN` that the authorities are limited to, for good; .DOMAIN for all below it; repeat for more (default no limit)")
	f.StringVar(&o.rootKey, "root-key", "", "pkcs11: or signer: `URI` of a key that is made already (default a new key in an encrypted file)")
}

func newCAInitCommand(p *program) *cobra.Command {
	o := &foundingOptions{}
	cmd := &cobra.Command{
		Use:   "init --operator NAME --base-url URL [--offline-root FILE -o FILE]",
		Short: "make a root and an issuing authority",
		Long: `Make a root and the first issuing authority in a data folder.

With --offline-root FILE the root is one whose key stays on another machine, and FILE
its certificate, which "mailseal ca ceremony root" made there. Then -o FILE gets the
certification request of the issuing authority: carry it to that machine, and what
"mailseal ca ceremony sign" makes of it back, to "mailseal ca accept".

Keys are made in files that a passphrase protects, or are named by a URI. Without
--offline-root the root signs here, in the presence of two people.`,
		Example: `  mailseal ca init --data /var/lib/mailseal --operator "Example Ltd" --country GB \
    --base-url http://pki.example.com --offline-root root.pem -o issuing.csr`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.runCAInit(cmd, o) },
	}
	o.addFlags(cmd)
	cmd.Flags().StringVar(&o.issuingKey, "issuing-key", "", "pkcs11: or signer: `URI` of a key that is made already (default a new key in an encrypted file)")
	addPartitions(cmd.Flags(), &o.partitions)
	cmd.Flags().StringVar(&o.root, "offline-root", "", "certificate `FILE` of a root whose key is elsewhere")
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "`FILE` for the certification request, with --offline-root")
	return cmd
}

func (p *program) runCAInit(cmd *cobra.Command, o *foundingOptions) error {
	people := rootPeople
	if o.root != "" {
		people = 0
		if o.output == "" {
			return usage(errors.New("--offline-root needs -o FILE for the certification request"), "-o issuing.csr")
		}
	}
	f, err := p.founding(o)
	if err != nil {
		return err
	}
	f.IssuingKey, f.Partitions = o.issuingKey, o.partitions
	if o.root != "" {
		certificates, err := p.readCertificates(o.root)
		if err != nil {
			return err
		}
		if len(certificates) != 1 {
			return broken(fmt.Errorf("%s has %d certificates; the root's alone is wanted", o.root, len(certificates)), "the file that mailseal ca ceremony root wrote")
		}
		f.Root = certificates[0]
	}
	return p.found(cmd, o, f, people, "Authorities made")
}

// founding reads the flags, and asks for what is missing.
func (p *program) founding(o *foundingOptions) (f authority.Founding, err error) {
	for _, ask := range []struct {
		flag, prompt string
		value        *string
		optional     bool
	}{
		{"--operator", "Name of the organization that runs the authority", &o.operator, o.root != "" || o.dev},
		{"--base-url", "http address of revocation lists, as everybody will reach it", &o.baseURL, false},
	} {
		if *ask.value != "" || ask.optional {
			continue
		}
		if !p.isTerminal(p.stdin) {
			return f, usage(fmt.Errorf("%s is missing", ask.flag), "it cannot be changed afterwards; see --help")
		}
		if *ask.value, err = p.askLine(ask.prompt); err != nil {
			return f, err
		}
	}
	if err := authority.CheckBaseURL(o.baseURL, o.dev); err != nil {
		return f, usage(err, "--base-url http://pki.example.com")
	}
	return authority.Founding{
		Organization: o.operator, Country: o.country, BaseURL: o.baseURL, PolicyArc: o.arc, Domains: o.domains,
		RootKey: o.rootKey, Dev: o.dev,
	}, nil
}

// found makes authorities in front of people, and writes the record.
func (p *program) found(cmd *cobra.Command, o *foundingOptions, f authority.Founding, people int, step string) error {
	if err := p.witnesses(&o.caOptions, people); err != nil {
		return err
	}
	if err := p.confirm(&o.caOptions, "These cannot be changed afterwards:",
		"  operator  "+f.Organization, "  address   "+f.BaseURL, "  domains   "+cmp.Or(strings.Join(f.Domains, " "), "every one")); err != nil {
		return err
	}
	o.fresh = true
	return p.inCA(cmd, &o.caOptions, func(ctx context.Context, room *caRoom) error {
		r := p.newRecord(&o.caOptions, step)
		if o.algorithm == keys.Algorithms()[0] && (o.rootKey == "" || o.issuingKey == "") {
			p.say("Making keys. RSA-4096 takes a while.")
		}
		a, err := authority.Found(ctx, room.o, f)
		if err != nil {
			return err
		}
		r.add("Operator", [2]string{"Operator name", a.Operator()}, [2]string{"Address", a.BaseURL()}, [2]string{"Policy arc", string(a.PolicyArc())})
		for _, m := range a.Members() {
			if !m.Offline() {
				r.key(m.Name(), m.KeyURI())
			}
			r.certificate("Certificate", m.Certificate())
		}
		if f.RootOnly && o.output != "" {
			if err := r.file(o.output, a.Root().PEM()); err != nil {
				return err
			}
		}
		if err := p.recordRequests(ctx, room, r, o.output); err != nil {
			return err
		}
		return r.finish(ctx, room)
	})
}

// recordRequests writes the request that waits, if one does.
func (p *program) recordRequests(ctx context.Context, room *caRoom, r *record, output string) error {
	requests, err := authority.Requests(ctx, room.store)
	if err != nil {
		return err
	}
	for _, request := range requests {
		r.key(request.Name, request.KeyURI)
		if err := r.request(request.Name, request.DER); err != nil {
			return err
		}
		if err := r.file(output, requestPEM(request.DER)); err != nil {
			return err
		}
	}
	return nil
}

func requestPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// readCertificates reads a file of certificates, PEM or DER.
func (p *program) readCertificates(path string) ([]*cert.Certificate, error) {
	data, err := readSmall(path)
	if err != nil {
		return nil, broken(err, "is it the right file?")
	}
	list, err := cert.ParseAll(data)
	if err != nil {
		return nil, broken(fmt.Errorf("%s: %w", path, err), "a certificate, PEM or DER, is wanted")
	}
	return list, nil
}

// folderFor makes the folder of several results.
func folderFor(path string) error {
	if path == "" {
		return usage(errors.New("-o DIR is missing"), "a folder for the files, such as the one that is carried over")
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return broken(err, "-o names a folder")
	}
	return nil
}
