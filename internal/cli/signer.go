package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/server"
	"github.com/mailseal/mailseal/internal/signer"
)

type signerOptions struct {
	caOptions
	listen string
	user   string
	keys   []string
	rate   int
}

func newSignerCommand(p *program) *cobra.Command {
	o := &signerOptions{}
	cmd := &cobra.Command{
		Use:   "signer --listen SOCKET [--data DIR] [--key NAME=URI ...]",
		Short: "keep authorities' keys in a process of their own",
		Long: `Keep authorities' keys in a process of their own, best under a user of its own, and sign
over a Unix socket for one user: certificates, revocation lists, OCSP responses and
timestamps that name the key's authority, and nothing else. The other side names a key
as signer:SOCKET#NAME.

The keys are the files DIR/keys/NAME.pem, which "mailseal signer key" makes, and those
that --key names. What a key may sign follows from DIR/certificates/NAME.pem. A key
without one signs its own root certificate or its certification request; certificates
that keys of the process sign for each other are kept there by themselves.

Every signature and every refusal is a line of JSON on standard error.`,
		Example: `  mailseal signer key issuing --data /var/lib/mailseal-signer
  mailseal signer --data /var/lib/mailseal-signer --listen /run/mailseal-signer/socket --serve mailseal`,
		GroupID: groupServer,
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.runSigner(cmd.Context(), o) },
	}
	o.keyFlags.add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "./signer", "`DIR` of the keys and their certificates")
	f.StringVar(&o.listen, "listen", "", "`SOCKET` to listen at")
	f.StringVar(&o.user, "serve", "", "`USER` who is served, by name or number (default the one that runs this)")
	f.StringArrayVar(&o.keys, "key", nil, "`NAME=URI` of a key in a token, pkcs11:; repeat for more")
	f.IntVar(&o.rate, "rate", 100, "signatures per second of each key, twice that `NUMBER` at once")
	cmd.AddCommand(newSignerKeyCommand(p))
	return cmd
}

func newSignerKeyCommand(p *program) *cobra.Command {
	o := &signerOptions{}
	cmd := &cobra.Command{
		Use:     "key NAME [--data DIR] [--algorithm ALGORITHM]",
		Short:   "make a key in an encrypted file for the signer",
		Example: `  mailseal signer key issuing --data /var/lib/mailseal-signer`,
		Args:    oneName("name"),
		RunE:    func(_ *cobra.Command, args []string) error { return p.runSignerKey(o, args[0]) },
	}
	o.keyFlags.add(cmd)
	o.addAlgorithm(cmd)
	cmd.Flags().StringVar(&o.data, "data", "./signer", "`DIR` of the keys and their certificates")
	return cmd
}

func (p *program) runSignerKey(o *signerOptions, name string) error {
	generate, err := keys.Generator(o.algorithm)
	if err != nil {
		return usage(err, "see --help for --algorithm")
	}
	lock, err := server.LockFolder(o.data)
	if err != nil {
		return broken(err, "is the signer running? stop it first")
	}
	defer lock.Close()
	key, err := generate()
	if err != nil {
		return err
	}
	uri, err := p.authorityKeys(o.data, &o.keyFlags, o.dev).Create(name, key)
	if errors.Is(err, fs.ErrExist) {
		return broken(err, "each key has a name of its own")
	}
	if err != nil {
		return caFault(err)
	}
	_, err = fmt.Fprintln(p.stdout, uri)
	return err
}

func (p *program) runSigner(ctx context.Context, o *signerOptions) error {
	if o.listen == "" {
		return usage(errors.New("--listen is missing"), "--listen /run/mailseal-signer/socket")
	}
	if o.rate < 1 {
		return usage(fmt.Errorf("--rate %d lets nothing be signed", o.rate), "a number from 1")
	}
	uid, err := servedUser(o.user)
	if err != nil {
		return usage(err, "--serve USER")
	}
	if err := keys.Harden(); err != nil {
		return fmt.Errorf("keep the keys out of core files: %w", err)
	}
	lock, err := server.LockFolder(o.data)
	if err != nil {
		return broken(err, "one signer for each folder")
	}
	defer lock.Close()
	opened := p.authorityKeys(o.data, &o.keyFlags, o.dev)
	defer opened.Close()
	list, err := o.open(opened)
	if err != nil {
		return caFault(err)
	}
	l, err := listenAt(o.listen, uid)
	if err != nil {
		return broken(err, "is another signer listening there?")
	}
	defer os.Remove(o.listen)
	p.say("mailseal: signing at %s with %d keys, for user %d", o.listen, len(list), uid)
	return signer.Serve(ctx, l, signer.Options{
		Keys: list, Allow: func(who int) bool { return who == uid }, Rate: o.rate, Clock: p.env.Now,
		Log: slog.New(slog.NewJSONHandler(p.stderr, nil)),
	})
}

// servedUser is by number, by name, or the one that runs this.
func servedUser(text string) (int, error) {
	if text == "" {
		return os.Getuid(), nil
	}
	if uid, err := strconv.Atoi(text); err == nil && uid >= 0 {
		return uid, nil
	}
	u, err := user.Lookup(text)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(u.Uid)
}

// open opens the keys of the folder and those that were named.
func (o *signerOptions) open(k *keys.Keys) (list []signer.Key, err error) {
	files, err := filepath.Glob(filepath.Join(o.data, "keys", "*.pem"))
	if err != nil {
		return nil, err
	}
	named := o.keys
	for _, file := range files {
		base := filepath.Base(file)
		named = append(named, strings.TrimSuffix(base, ".pem")+"=file:keys/"+base)
	}
	for _, text := range named {
		name, uri, ok := strings.Cut(text, "=")
		if !ok || strings.ContainsAny(name, `/\.`) {
			return nil, usage(fmt.Errorf("--key %q is not NAME=URI", text), "--key issuing=pkcs11:token=CA;object=issuing")
		}
		key := signer.Key{Name: name, Learned: o.keeper(name)}
		if key.Signer, err = k.Signer(uri); err != nil {
			return nil, err
		}
		if key.Certificate, err = o.certificate(name); err != nil {
			return nil, err
		}
		list = append(list, key)
	}
	if len(list) == 0 {
		return nil, usage(fmt.Errorf("there is no key in %s", filepath.Join(o.data, "keys")), "mailseal signer key NAME makes one; --key names one in a token")
	}
	return list, nil
}

func (o *signerOptions) certificate(name string) (*cert.Certificate, error) {
	path := filepath.Join(o.data, "certificates", name+".pem")
	data, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := cert.ParseAll(data)
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("%d certificates, not one", len(list))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list[0], nil
}

func (o *signerOptions) keeper(name string) func(*cert.Certificate) error {
	return func(c *cert.Certificate) error {
		folder := filepath.Join(o.data, "certificates")
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
		return writeFile(filepath.Join(folder, name+".pem"), c.PEM(), modeSecret)
	}
}

// listenAt listens at a socket that is closed to all others before it has its name.
// Where another user is served, the socket is open, and the kernel's word about who
// is at the other end counts alone.
func listenAt(path string, uid int) (*net.UnixListener, error) {
	if c, err := net.Dial("unix", path); err == nil {
		_ = c.Close()
		return nil, fmt.Errorf("somebody listens at %s already", path)
	}
	temp := path + "." + rand.Text()[:8]
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temp, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	mode := os.FileMode(0o600)
	if uid != os.Getuid() {
		mode = 0o666
	}
	err = os.Chmod(temp, mode)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(temp))
	}
	return l, nil
}
