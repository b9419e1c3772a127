package cms

import (
	"crypto"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// ErrDigest: the content of a DigestedData is not the one that was digested.
var ErrDigest = errors.New("cms: digest does not fit the content")

// DigestOptions choose the form of a DigestedData.
type DigestOptions struct {
	// Hash is the digest; 0 stands for SHA-256.
	Hash crypto.Hash
	// ContentType is that of the content; empty stands for data.
	ContentType OID
	// Length is that of the content where HasLength is set; see EncryptOptions.
	Length     int64
	HasLength  bool
	Indefinite bool
	// Spool makes the place where content beyond 1 MiB waits until its length
	// is known, so that the message is DER; nil writes indefinite lengths then.
	Spool func() (Spool, error)
}

// Digest returns a writer for the content of a DigestedData (RFC 5652 §7): it
// shows accidental change and, unlike a signature, no other. Close finishes it.
func Digest(dst io.Writer, o *DigestOptions) (io.WriteCloser, error) {
	if o == nil {
		o = &DigestOptions{}
	}
	h, contentType := o.Hash, o.ContentType
	if h == 0 {
		h = crypto.SHA256
	}
	if contentType == "" {
		contentType = oid.Data
	}
	algorithm, ok := signature.DigestAlgorithm(h)
	if !ok || h == crypto.MD5 || h == crypto.SHA1 {
		return nil, fmt.Errorf("%w: digest %v is not written", ErrUnsupported, h)
	}
	f, err := encapsulating(dst, oid.DigestedData, contentType, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(map[bool]int64{true: 0, false: 2}[contentType == oid.Data])
		algorithm.Add(b)
	})
	if err != nil {
		return nil, err
	}
	length := int64(-1)
	if o.HasLength {
		length = o.Length
	}
	f.spool = o.Spool
	w := &digestedWriter{hashedWriter{framing: f, hash: h.New()}}
	return w, f.begin(length, int64(h.Size())+2, o.Indefinite)
}

// hashedWriter hashes the content that it frames.
type hashedWriter struct {
	framing *framing
	hash    hash.Hash
	closed  bool
}

func (w *hashedWriter) Write(p []byte) (int, error) {
	if w.closed {
		return 0, errClosed
	}
	w.hash.Write(p)
	return w.framing.Write(p)
}

// Flush implements Flusher.
func (w *hashedWriter) Flush() error { return w.framing.Flush() }

// end is the beginning of Close.
func (w *hashedWriter) end() error {
	if w.closed {
		return errClosed
	}
	w.closed = true
	return nil
}

type digestedWriter struct{ hashedWriter }

func (w *digestedWriter) Close() error {
	if err := w.end(); err != nil {
		return err
	}
	sum := w.hash.Sum(nil)
	tail := ber.AppendHeader(nil, ber.Universal, false, ber.TagOctetString, int64(len(sum)))
	return w.framing.finish(append(tail, sum...))
}

// DigestedReader reads the content of a DigestedData. The last Read returns
// ErrDigest instead of io.EOF when the digest is another.
type DigestedReader struct {
	r           *Reader
	contentType OID
	algorithm   AlgorithmIdentifier
	hash        hash.Hash
	content     io.Reader
	err         error
}

// DigestedData continues with the body of a message of type oid.DigestedData.
// detached is the content where the message has none of its own, nil otherwise.
func (r *Reader) DigestedData(detached io.Reader) (*DigestedReader, error) {
	if err := r.wants(oid.DigestedData); err != nil {
		return nil, err
	}
	if err := r.enter("DigestedData"); err != nil {
		return nil, err
	}
	if err := r.readVersion("DigestedData version"); err != nil {
		return nil, err
	}
	d := &DigestedReader{r: r}
	var err error
	if d.algorithm, err = r.readAlgorithm("digestAlgorithm"); err != nil {
		return nil, err
	}
	var known bool
	if d.hash, known = signature.NewHash(d.algorithm); !known {
		return nil, fmt.Errorf("%w: digest %s", ErrUnsupported, d.algorithm.Algorithm.Name())
	}
	contentType, octets, err := r.openContent()
	if err != nil {
		return nil, err
	}
	d.contentType = contentType
	switch {
	case octets != nil && detached != nil:
		return nil, malformed("content inside a detached digest", nil)
	case octets != nil:
		d.content = encapsulated{r, octets}
	case detached != nil:
		d.content = detached
	default:
		return nil, ErrNoContent
	}
	return d, nil
}

// encapsulated is content that leaves EncapsulatedContentInfo at its end.
type encapsulated struct {
	r      *Reader
	octets *ber.OctetReader
}

func (e encapsulated) Read(p []byte) (int, error) {
	n, err := e.octets.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		if lerr := e.r.leaveContent(); lerr != nil {
			return n, lerr
		}
	case err != nil:
		err = malformed("eContent", err)
	}
	return n, err
}

// ContentType returns the type of the content: oid.Data for mail.
func (d *DigestedReader) ContentType() OID { return d.contentType }

// Algorithm returns the digest algorithm.
func (d *DigestedReader) Algorithm() AlgorithmIdentifier { return d.algorithm }

// Read implements io.Reader.
func (d *DigestedReader) Read(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	n, err := d.content.Read(p)
	d.hash.Write(p[:n])
	if errors.Is(err, io.EOF) {
		err = d.finish()
	}
	if d.err = err; n > 0 {
		return n, nil
	}
	return 0, err
}

func (d *DigestedReader) finish() error {
	der, err := d.r.element("digest", maxSmall)
	if err != nil {
		return err
	}
	in := cryptobyte.String(der)
	var digest cryptobyte.String
	if !in.ReadASN1(&digest, asn1.OCTET_STRING) {
		return malformed("digest is not an OCTET STRING", nil)
	}
	if err := d.r.end("DigestedData"); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(digest, d.hash.Sum(nil)) != 1 {
		return ErrDigest
	}
	return io.EOF
}
