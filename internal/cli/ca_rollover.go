package cli

import (
	"context"
	"maps"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/authority"
)

func newCARolloverCommand(p *program) *cobra.Command {
	o := &caOptions{}
	var keyURI, output string
	cmd := &cobra.Command{
		Use:   "rollover NAME",
		Short: "give an authority a new key",
		Long: `Give an authority a new key. The new one issues from now on, with addresses of its own;
the old one still signs the lists and answers about what it issued.

For an issuing authority whose root's key is elsewhere, -o DIR gets the certification
request, and the old key issues until the certificate is accepted. For a root, do this
where its key is: -o DIR gets the new root and the cross certificates of both for each
other, for those who trust one of them alone.`,
		Example: `  mailseal ca rollover issuing --data /var/lib/mailseal -o carry
  mailseal ca rollover root --data /media/root -o carry --present "Alice, director" --present "Bob, auditor"`,
		Args: oneName("name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.runCASucceed(cmd, o, output, "Key changed", func(ctx context.Context, room *caRoom) (*authority.Made, error) {
				return authority.Rollover(ctx, room.o, args[0], keyURI)
			})
		},
	}
	o.addCeremony(cmd)
	o.addAlgorithm(cmd)
	cmd.Flags().StringVar(&keyURI, "key", "", "pkcs11: or signer: `URI` of a key that is made already")
	cmd.Flags().StringVarP(&output, "output", "o", "", "`DIR` for the files to be carried")
	return cmd
}

// runCASucceed makes a key of an authority. Two people are asked for where the
// root's key is: it signs.
func (p *program) runCASucceed(cmd *cobra.Command, o *caOptions, output, step string, make func(context.Context, *caRoom) (*authority.Made, error)) error {
	if err := folderFor(output); err != nil {
		return err
	}
	return p.inCA(cmd, o, func(ctx context.Context, room *caRoom) error {
		people, err := room.rootSigns(ctx)
		if err != nil {
			return err
		}
		if err := p.witnesses(o, people); err != nil {
			return err
		}
		if err := p.confirm(o, step+"?"); err != nil {
			return err
		}
		r := p.newRecord(o, step)
		made, err := make(ctx, room)
		if err != nil {
			return err
		}
		if made.Request != nil {
			if err := r.waiting(ctx, room, made.Name); err != nil {
				return err
			}
			if err := r.file(filepath.Join(output, made.Name+".csr"), requestPEM(made.Request)); err != nil {
				return err
			}
			return r.finish(ctx, room)
		}
		if err := r.made(ctx, room, made, output); err != nil {
			return err
		}
		return r.finish(ctx, room)
	})
}

// rootSigns returns how many people must see what is done: none where the root's
// key is elsewhere.
func (r *caRoom) rootSigns(ctx context.Context) (people int, err error) {
	a, err := r.look(ctx)
	if err != nil {
		return 0, err
	}
	for _, m := range a.Members() {
		if m.Root() && m.Active() && m.KeyURI() != "" {
			return rootPeople, nil
		}
	}
	return 0, nil
}

// look opens the authorities without their keys.
func (r *caRoom) look(ctx context.Context) (*authority.Authority, error) {
	o := r.o
	o.Keys = nil
	return authority.Open(ctx, o)
}

func (r *record) waiting(ctx context.Context, room *caRoom, name string) error {
	requests, err := authority.Requests(ctx, room.store)
	if err != nil {
		return err
	}
	for _, request := range requests {
		if request.Name == name {
			r.key(name, request.KeyURI)
			return r.request(name, request.DER)
		}
	}
	return nil
}

// made writes and notes a new key's certificates, under the names that they are
// served by.
func (r *record) made(ctx context.Context, room *caRoom, made *authority.Made, output string) error {
	a, err := room.look(ctx)
	if err != nil {
		return err
	}
	m, err := a.Member(made.Name)
	if err != nil {
		return err
	}
	r.key(m.Name(), m.KeyURI())
	r.certificate("Certificate", m.Certificate())
	if err := r.file(filepath.Join(output, m.Name()+".pem"), m.Certificate().PEM()); err != nil {
		return err
	}
	crosses := a.Crosses()
	for _, name := range slices.Sorted(maps.Keys(crosses)) {
		c := crosses[name]
		if !slices.ContainsFunc(made.Certificates, c.Equal) {
			continue
		}
		r.certificate("Cross certificate", c)
		if err := r.file(filepath.Join(output, name+".pem"), c.PEM()); err != nil {
			return err
		}
	}
	return nil
}
