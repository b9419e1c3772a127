package smime

import (
	"errors"
	"fmt"
	"io"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/ahead"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/oid"
)

// What compressed layers may grow to, all together: cms limits each to a ratio, and layers inside of layers multiply.
const (
	// MaxExpansion is the largest ratio of what is inside to the whole message.
	MaxExpansion = 100
	// minExpansion is what is always allowed.
	minExpansion = 16 << 20
)

// errExpansion ends a decompression.
var errExpansion = errors.New("the compressed content grows too large")

// Compress writes the message of the first size bytes of src to dst, compressed (RFC 8551 §3.6). It protects nothing. The header is
// treated as by [Sign].
func Compress(dst io.Writer, src io.ReaderAt, size int64) error {
	d, err := newDraft(src, size)
	if err != nil {
		return err
	}
	return d.write(dst, compressedEntity(d.writeEntity))
}

func compressedEntity(content entityWriter) entityWriter {
	return func(w io.Writer) error {
		return writePKCS7(w, typeCompressed, func(dst io.Writer) (io.WriteCloser, error) { return cms.Compress(dst, nil) }, content)
	}
}

// decompress opens a CompressedData (RFC 8551 §3.6).
func (op *opener) decompress(r *cms.Reader) (*entity.Entity, error) {
	at := len(op.layers)
	op.layers = append(op.layers, openedLayer{Layer: Layer{Type: LayerCompressed, Algorithm: "zlib"}})
	place := fmt.Sprintf("layer %d", at+1)
	c, err := r.CompressedData()
	if errors.Is(err, cms.ErrUnsupported) {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnsupported, place, err)
	}
	if err != nil {
		return nil, &MalformedError{place, err}
	}
	if c.ContentType() != oid.Data {
		return nil, fmt.Errorf("%w: %s holds %s, not mail", ErrUnsupported, place, c.ContentType().Name())
	}
	spool, err := op.spool()
	if err != nil {
		return nil, err
	}
	limit := max(minExpansion, op.size*MaxExpansion)
	n, err := ahead.Copy(spool, io.LimitReader(c, limit+1))
	if err == nil && n > limit {
		err = errExpansion
	}
	if err != nil {
		return nil, &MalformedError{place, err}
	}
	inner, err := spool.entity()
	if err != nil {
		return nil, &MalformedError{place, err}
	}
	return inner, nil
}
