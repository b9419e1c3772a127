package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/authority"
)

func newCAExportCommand(p *program) *cobra.Command {
	o := &caOptions{}
	var output string
	var request bool
	cmd := &cobra.Command{
		Use:   "export NAME [--request] [-o FILE]",
		Short: "write the certificate of an authority",
		Long: `Write the certificate of an authority's key as PEM: what people install of a root, and
what goes with a chain. NAME is one that "mailseal ca list" shows, or a cross
certificate's, such as root-2-by-root. --request writes the certification request of a
key that waits for its certificate once more.`,
		Args: oneName("name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.lookAtCA(cmd, o, func(ctx context.Context, room *caRoom) error {
				data, err := exportCA(ctx, room, args[0], request)
				if err != nil {
					return err
				}
				return p.writeResult(output, modePublic, data)
			})
		},
	}
	o.stateFlags.add(cmd)
	cmd.Flags().BoolVar(&request, "request", false, "the certification request of a key that waits")
	cmd.Flags().StringVarP(&output, "output", "o", "", "`FILE` (default standard output)")
	return cmd
}

func exportCA(ctx context.Context, room *caRoom, name string, request bool) ([]byte, error) {
	if !request {
		a, err := room.look(ctx)
		if err != nil {
			return nil, err
		}
		c, err := a.Certificate(name)
		if err != nil {
			return nil, err
		}
		return c.PEM(), nil
	}
	requests, err := authority.Requests(ctx, room.store)
	if err != nil {
		return nil, err
	}
	for _, r := range requests {
		if r.Name == name {
			return requestPEM(r.DER), nil
		}
	}
	return nil, authority.ErrUnknown
}
