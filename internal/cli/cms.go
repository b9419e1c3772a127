package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/ahead"
	"github.com/mailseal/mailseal/internal/entity"
)

func newCMSCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cms COMMAND",
		Short: "sign, encrypt, compress what is no mail: raw CMS",
		Long: `Make and read raw CMS (RFC 5652), for content that is no mail. Messages are read in
DER, BER or PEM and written in DER; content is any file, and not a byte of it is changed.`,
		GroupID: groupMail,
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
	}
	cmd.AddCommand(
		newCMSSignCommand(p), newCMSVerifyCommand(p), newCMSEncryptCommand(p), newCMSDecryptCommand(p),
		newCMSCompressCommand(p), newCMSUncompressCommand(p), newCMSDigestCommand(p),
	)
	return cmd
}

// cmsOutput is where a message that is made goes, and in which form.
type cmsOutput struct {
	path       string
	indefinite bool
	text       bool
	spools     []*spool
}

func (o *cmsOutput) addFlags(cmd *cobra.Command) {
	addOutputFlag(cmd, &o.path)
	cmd.Flags().BoolVar(&o.indefinite, "indefinite", false, "write the message as it is made, in BER with indefinite lengths, to standard output even before all is well")
}

// addTextFlag is for messages that others read as MIME.
func (o *cmsOutput) addTextFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.text, "text", false, "the content is text or a part of a mail: its lines go in with CRLF, the form that others verify and open (RFC 8551 §3.1.1)")
}

// content is what goes into the message, and its length, -1 where it is not known.
func (o *cmsOutput) content(src io.Reader, length int64) (io.Reader, int64) {
	if o.text {
		return entity.NewCanonicalReader(src), -1
	}
	return src, length
}

// spool holds content whose length the message must have in front of it.
func (o *cmsOutput) spool() (cms.Spool, error) {
	s := newSpool()
	o.spools = append(o.spools, s)
	return s, nil
}

func (o *cmsOutput) close() {
	for _, s := range o.spools {
		_ = s.Close()
	}
}

// makeCMS puts the content in file, or standard input, into a message. length
// is that of the content, -1 when it is not known.
func (p *program) makeCMS(ctx context.Context, file string, o *cmsOutput, open func(dst io.Writer, length int64) (io.WriteCloser, error)) error {
	defer o.close()
	if o.indefinite {
		return p.streamCMS(ctx, file, o, open)
	}
	return p.transform(ctx, file, o.path, func(dst io.Writer, in *input) error {
		src, length := o.content(io.NewSectionReader(in, 0, in.size), in.size)
		return fill(dst, src, length, open)
	})
}

// streamCMS holds nothing back: content may be endless, and what comes out is
// of use to whom it is piped before the content ends.
func (p *program) streamCMS(ctx context.Context, file string, o *cmsOutput, open func(dst io.Writer, length int64) (io.WriteCloser, error)) error {
	var src io.Reader = interruptibleReader{ctx, p.stdin}
	name, length := "standard input", int64(-1)
	var in *input
	if file != "" && file != "-" {
		var err error
		if in, err = p.openInput(ctx, file); err != nil {
			return err
		}
		defer in.Close()
		src, name, length = io.NewSectionReader(in, 0, in.size), in.name, in.size
	}
	src, length = o.content(src, length)
	if o.path != "" && o.path != "-" {
		out, err := p.createOutput(o.path, modePublic, in)
		if err != nil {
			return err
		}
		defer out.discard()
		if err := fill(out, src, length, open); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return out.commit()
	}
	if p.isTerminal(p.stdout) {
		return usage(errors.New("the output is not plain text and standard output is a terminal"), "write it to a file with -o FILE")
	}
	if err := flow(p.stdout, src, length, open); err != nil {
		return fmt.Errorf("%s: the message that was begun is worthless: %w", name, err)
	}
	return nil
}

// flow is fill for content that may pause: what is there comes out.
func flow(dst io.Writer, src io.Reader, length int64, open func(dst io.Writer, length int64) (io.WriteCloser, error)) error {
	f := &flowing{dst: dst, out: bufio.NewWriterSize(dst, flowBuffer)}
	var err error
	if f.message, err = open(f.out, length); err != nil {
		return err
	}
	// Nothing is read ahead: most often there is a pipe at dst, and who reads it keeps the other core busy.
	if _, err := io.CopyBuffer(f, src, make([]byte, flowBuffer)); err != nil {
		return err
	}
	if err := f.message.Close(); err != nil {
		return err
	}
	return f.out.Flush()
}

const (
	flowBuffer = 256 << 10 // is read and written at a time
	flowLong   = 64 << 10  // a read that long is one of many
)

// flowing passes on what there is before more of it is waited for.
type flowing struct {
	message io.WriteCloser
	dst     io.Writer
	out     *bufio.Writer // to dst
	wide    bool
}

func (f *flowing) Write(b []byte) (int, error) {
	n, err := f.message.Write(b)
	if err != nil {
		return n, err
	}
	if !f.wide && len(b) >= flowLong {
		widen(f.dst)
		f.wide = true
	}
	if m, ok := f.message.(cms.Flusher); ok {
		if err := m.Flush(); err != nil {
			return n, err
		}
	}
	return n, f.out.Flush()
}

func fill(dst io.Writer, src io.Reader, length int64, open func(dst io.Writer, length int64) (io.WriteCloser, error)) error {
	w, err := open(dst, length)
	if err != nil {
		return err
	}
	if _, err := ahead.Copy(w, src); err != nil {
		return err
	}
	return w.Close()
}

// readCMS opens the message in file and hands it to f with an output that is
// made real when f returns nil.
func (p *program) readCMS(ctx context.Context, file, path string, f func(r *cms.Reader, in *input, dst io.Writer) error) error {
	in, err := p.openInput(ctx, file)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := p.createOutput(path, modeSecret, in)
	if err != nil {
		return err
	}
	defer out.discard()
	r, err := in.cms()
	if err != nil {
		return fmt.Errorf("%s: %w", in.name, err)
	}
	if err := f(r, in, out); err != nil {
		return in.answerCMS(err)
	}
	return out.commit()
}

// cms reads the head of the message.
func (in *input) cms() (*cms.Reader, error) {
	src, err := unarmored(io.NewSectionReader(in, 0, in.size))
	if err != nil {
		return nil, err
	}
	return cms.NewReader(src, nil)
}

// answerCMS tells a message that says no from one that is broken.
func (in *input) answerCMS(err error) error {
	err = fmt.Errorf("%s: %w", in.name, err)
	switch {
	case errors.Is(err, cms.ErrNoRecipient):
		return no(err, "see for whom it is: mailseal inspect %s", in.path)
	case errors.Is(err, cms.ErrDecrypt), errors.Is(err, cms.ErrDigest), errors.Is(err, cms.ErrAuthentication), errors.Is(err, cms.ErrSignature):
		return no(err, "it was altered or damaged on its way; nothing of it is shown")
	case errors.Is(err, cms.ErrUnsupported):
		return no(err, "what is inside cannot be shown")
	}
	return err
}

// wrongType says that a message is of a type for which there is another command.
func wrongType(r *cms.Reader, verb string) error {
	return no(fmt.Errorf("it is %s", r.ContentType().Name()), "%s", verb)
}
