package cli

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mailseal/mailseal/cms"
)

// maxPreamble is how much text may stand before a PEM message (RFC 7468 §5.2).
const maxPreamble = 64 << 10

// unarmored returns the BER of a message that may be PEM.
func unarmored(src io.Reader) (io.Reader, error) {
	in := bufio.NewReaderSize(src, maxPreamble)
	head, err := in.Peek(maxPreamble)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(head) > 0 && head[0] == 0x30 || !bytes.Contains(head, []byte("-----BEGIN ")) {
		return in, nil
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("%w: PEM without a line of its own for BEGIN", cms.ErrMalformed)
		}
		label, found := strings.CutPrefix(strings.TrimSpace(line), "-----BEGIN ")
		if !found {
			continue
		}
		label = strings.TrimSuffix(label, "-----")
		// RFC 7468 §8 and §9; then what old Netscape and OpenSSL wrote, and gpgsm.
		if !slices.Contains([]string{"CMS", "PKCS7", "PKCS #7 SIGNED DATA", armorLabel}, label) {
			return nil, fmt.Errorf("%w: PEM of a %q, not of CMS", cms.ErrMalformed, label)
		}
		return base64.NewDecoder(base64.StdEncoding, &armor{in: in}), nil
	}
}

// armor reads the base64 lines of a PEM message up to its END line.
type armor struct {
	in   *bufio.Reader
	line []byte
	err  error
}

func (a *armor) Read(p []byte) (int, error) {
	for len(a.line) == 0 {
		if a.err != nil {
			return 0, a.err
		}
		a.next()
	}
	n := copy(p, a.line)
	a.line = a.line[n:]
	return n, nil
}

func (a *armor) next() {
	line, err := a.in.ReadSlice('\n')
	switch {
	case bytes.HasPrefix(line, []byte("-----END ")):
		a.err = io.EOF
		return
	case errors.Is(err, io.EOF): // no END line
		a.err = io.ErrUnexpectedEOF
	case err != nil && !errors.Is(err, bufio.ErrBufferFull):
		a.err = err
	}
	a.line = bytes.TrimSpace(line)
}
