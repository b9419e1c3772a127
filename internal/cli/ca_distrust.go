package cli

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

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
also be a list with the SHA-256 of a SubjectPublicKeyInfo, 64 hexadecimal digits, on each
line, or one such digest instead of a file.

Keys of certificates that were revoked because the key was compromised need not be
listed. Certificates that were issued for the key already are not revoked by this.`,
		Example: `  mailseal ca distrust --data /var/lib/mailseal --reason "found on a public server" stolen.pem`,
		Args:    oneName("file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usage(errors.New("--reason is needed"), "years later somebody will ask why")
			}
			hashes, err := distrustedKeys(args[0])
			if err != nil {
				return err
			}
			return p.inCA(cmd, o, func(ctx context.Context, room *caRoom) error {
				a, err := room.look(ctx)
				for _, hash := range hashes {
					if err == nil {
						err = a.DistrustKey(ctx, hash, reason)
					}
				}
				if err == nil {
					p.say("Never certified from now on: %s, the first %x", count(len(hashes), "key"), hashes[0])
				}
				return err
			})
		},
	}
	o.stateFlags.add(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT`: why, for those who ask later")
	return cmd
}

// maxDistrusted is how many keys one list may have.
const maxDistrusted = 10000

// distrustedKeys returns the SHA-256 of the keys that the argument names.
func distrustedKeys(file string) ([][]byte, error) {
	if list := keyDigests(file); len(list) == 1 {
		return list, nil
	}
	data, err := readSmall(file)
	if err != nil {
		return nil, err
	}
	if list := keyDigests(string(data)); len(list) > maxDistrusted {
		return nil, broken(fmt.Errorf("%s lists %d keys; at most %d", file, len(list), maxDistrusted), "split the list")
	} else if len(list) > 0 {
		return list, nil
	}
	key, err := publicKeyIn(data)
	if err != nil {
		return nil, broken(fmt.Errorf("%s: %w", file, err), "a certificate, a certification request, a PEM file with a public key, or a list of SHA-256 digests is needed")
	}
	hash, err := issuance.KeyHash(key)
	return [][]byte{hash}, err
}

// keyDigests reads one SHA-256 in hexadecimal digits on each line; nil when there
// is anything else.
func keyDigests(text string) (list [][]byte) {
	for _, word := range strings.Fields(text) {
		hash, err := hex.DecodeString(word)
		if err != nil || len(hash) != sha256.Size {
			return nil
		}
		list = append(list, hash)
	}
	return list
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
