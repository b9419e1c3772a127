package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/mailseal/mailseal/smime"
)

// openedMail is a mail that was judged, with the file that it is in.
type openedMail struct {
	*smime.Message
	in *input
	// closed is why a layer stayed shut; nil when none did.
	closed error
	keys   int // that were there to open it
}

// openMail takes off the layers of a mail as far as the options allow.
func (p *program) openMail(ctx context.Context, file string, oo *smime.OpenOptions) (*openedMail, error) {
	in, err := p.openInput(ctx, file)
	if err != nil {
		return nil, err
	}
	m, closed := smime.Open(in, in.size, oo)
	if m == nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", in.name, closed), in.Close())
	}
	return &openedMail{m, in, closed, len(oo.Keys)}, nil
}

// Close forgets the content.
func (m *openedMail) Close() error { return errors.Join(m.Message.Close(), m.in.Close()) }

// answer is the exit status of a verdict.
func (m *openedMail) answer() error {
	in := m.in
	switch {
	case errors.Is(m.closed, smime.ErrNoKey) && m.keys == 0:
		return no(fmt.Errorf("%s: it is encrypted", in.name), "open it with the identity that it was encrypted to: mailseal open --as ID")
	case errors.Is(m.closed, smime.ErrNoKey):
		return no(fmt.Errorf("%s: it was encrypted to other keys than these", in.name), "see for whom it is: mailseal inspect %s", in.path)
	case errors.Is(m.closed, smime.ErrOldCipher):
		return no(fmt.Errorf("%s: %w", in.name, m.closed), "who wants to can read what it protects; if the mail is that old: --profile legacy-decrypt")
	case errors.Is(m.closed, smime.ErrDecrypt):
		return no(fmt.Errorf("%s: it does not decrypt", in.name), "it was altered or damaged on its way; nothing of it is shown")
	case m.closed != nil:
		return no(fmt.Errorf("%s: %w", in.name, m.closed), "what is inside cannot be shown")
	case m.Verdict.Verdict == smime.Valid:
		return nil
	}
	return errAnsweredNo
}
