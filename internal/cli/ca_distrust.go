package cli

import (
	"context"
	"crypto"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/issuance"
)

func newCADistrustCommand(p *program) *cobra.Command {
	o := &caOptions{}
	var reason string
	cmd := &cobra.Command{
		Use:   "distrust --reason TEXT FILE",
		Short: "never certify a key that is known to be compromised",
		Long: `Put the public key of a certificate, of a certification request or of a PEM file with a
public key on the list of keys that are never certified (S/MIME BR §6.1.1.3). FILE may
also be the SHA-256 of a SubjectPublicKeyInfo, as 64 hexadecimal digits.

Keys of certificates that were revoked because the key was compromised need not be
listed. Certificates that were issued for the key already are not revoked by this.`,
		Example: `  mailseal ca distrust --data /var/lib/mailseal --reason "found on a public server" stolen.pem`,
		Args:    oneName("file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usage(errors.New("--reason is needed"), "years later somebody will ask why")
			}
			hash, err := distrustedKey(args[0])
			if err != nil {
				return err
			}
			return p.inCA(cmd, o, func(ctx context.Context, room *caRoom) error {
				a, err := room.look(ctx)
				if err == nil {
					err = a.DistrustKey(ctx, hash, reason)
				}
				if err == nil {
					p.say("The key %x is never certified from now on.", hash)
				}
				return err
			})
		},
	}
	o.addPlace(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT`: why, for those who ask later")
	return cmd
}

// distrustedKey returns the SHA-256 of the key that the argument names.
func distrustedKey(file string) ([]byte, error) {
	if hash, err := hex.DecodeString(file); err == nil && len(hash) == 32 {
		return hash, nil
	}
	data, err := readSmall(file)
	if err != nil {
		return nil, err
	}
	key, err := publicKeyIn(data)
	if err != nil {
		return nil, broken(fmt.Errorf("%s: %w", file, err), "a certificate, a certification request, or a PEM file with a public key is needed")
	}
	return issuance.KeyHash(key)
}

func publicKeyIn(data []byte) (crypto.PublicKey, error) {
	block, _ := pem.Decode(data)
	if block != nil && block.Type == "PUBLIC KEY" { // RFC 7468 §13
		return cert.ParsePublicKey(block.Bytes)
	}
	if r, err := cert.ParseRequest(data); err == nil {
		return r.PublicKey, nil
	}
	list, err := cert.ParseAll(data)
	if err != nil {
		return nil, err
	}
	if list[0].PublicKey == nil {
		return nil, fmt.Errorf("a key of %s is not known here", list[0].SPKIAlgorithm.Algorithm.Name())
	}
	return list[0].PublicKey, nil
}
