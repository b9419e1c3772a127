package cms

import (
	"bufio"
	"compress/zlib"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
)

// Limits on what a CompressedData may grow to. zlib reaches a ratio of 1,032;
// mail stays below 20, and one that is mostly blank below 100.
const (
	MaxCompressionRatio = 100
	// compressionFloor is the output below which the ratio does not matter.
	compressionFloor = 1 << 20
)

// ErrBomb says that compressed content grows beyond all that is sensible.
var ErrBomb = errors.New("cms: compressed content grows too large")

// CompressOptions choose the form of a CompressedData.
type CompressOptions struct {
	// ContentType is that of the content; empty stands for data.
	ContentType OID
	// Indefinite writes indefinite lengths from the start.
	Indefinite bool
	// Spool makes the place where content beyond 1 MiB waits until its length
	// is known, so that the message is DER; nil writes indefinite lengths then.
	Spool func() (Spool, error)
}

// Compress returns a writer for the content of a CompressedData (RFC 3274).
// Close finishes the message.
func Compress(dst io.Writer, o *CompressOptions) (io.WriteCloser, error) {
	if o == nil {
		o = &CompressOptions{}
	}
	contentType := o.ContentType
	if contentType == "" {
		contentType = oid.Data
	}
	f, err := encapsulating(dst, oid.CompressedData, contentType, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		AlgorithmIdentifier{Algorithm: oid.ZlibCompress}.Add(b) // RFC 3274 §2: parameters absent
	})
	if err != nil {
		return nil, err
	}
	f.spool = o.Spool
	if err := f.begin(-1, 0, o.Indefinite); err != nil {
		return nil, err
	}
	return &compressedWriter{Writer: zlib.NewWriter(f), framing: f}, nil
}

type compressedWriter struct {
	*zlib.Writer
	framing *framing
}

// Flush implements Flusher. It ends a block of the compression, where there is
// somebody to have it.
func (w *compressedWriter) Flush() error {
	if w.framing.state != stateIndefinite {
		return nil
	}
	if err := w.Writer.Flush(); err != nil {
		return err
	}
	return w.framing.Flush()
}

func (w *compressedWriter) Close() error {
	if err := w.Writer.Close(); err != nil {
		return err
	}
	return w.framing.finish(nil)
}

// CompressedReader reads the content of a CompressedData. It ends with
// ErrBomb where the content grows beyond MaxCompressionRatio.
type CompressedReader struct {
	r           *Reader
	contentType OID
	compressed  *ber.OctetReader
	in, out     int64
	ahead       *bufio.Reader // of compressed
	zlib        io.Reader
	err         error
}

// CompressedData continues with the body of a message of type
// oid.CompressedData.
func (r *Reader) CompressedData() (*CompressedReader, error) {
	if err := r.wants(oid.CompressedData); err != nil {
		return nil, err
	}
	if err := r.enter("CompressedData"); err != nil {
		return nil, err
	}
	if err := r.readVersion("CompressedData version"); err != nil {
		return nil, err
	}
	algorithm, err := r.readAlgorithm("compressionAlgorithm")
	if err != nil {
		return nil, err
	}
	if algorithm.Algorithm != oid.ZlibCompress || !algorithm.NoParameters() {
		return nil, fmt.Errorf("%w: compression %s", ErrUnsupported, algorithm.Algorithm.Name())
	}
	c := &CompressedReader{r: r}
	if c.contentType, c.compressed, err = r.openContent(); err != nil {
		return nil, err
	}
	if c.compressed == nil {
		return nil, malformed("CompressedData without content", nil)
	}
	return c, nil
}

// ContentType returns the type of the content: oid.Data for mail.
func (c *CompressedReader) ContentType() OID { return c.contentType }

// Read implements io.Reader.
func (c *CompressedReader) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if c.zlib == nil {
		// zlib reads no octet more than it needs of a reader that gives single ones.
		c.ahead = bufio.NewReader(counter{c.compressed, &c.in})
		z, err := zlib.NewReader(c.ahead)
		if err != nil {
			c.err = malformed("compressed content", compressionError(err))
			return 0, c.err
		}
		c.zlib = z
	}
	n, err := c.zlib.Read(p)
	c.out += int64(n)
	switch {
	case c.out > compressionFloor && c.out/MaxCompressionRatio > c.in:
		c.err = ErrBomb
	case errors.Is(err, io.EOF):
		c.err = c.finish()
	case err != nil:
		c.err = malformed("compressed content", compressionError(err))
	}
	if n > 0 && c.err == io.EOF { //nolint:errorlint // set here
		return n, nil
	}
	return n, c.err
}

// finish wants nothing behind the compressed data and the right structure.
func (c *CompressedReader) finish() error {
	if n, _ := io.Copy(io.Discard, c.ahead); n > 0 {
		return malformed("data behind the compressed content", nil)
	}
	if err := c.r.leaveContent(); err != nil {
		return err
	}
	if err := c.r.end("CompressedData"); err != nil {
		return err
	}
	return io.EOF
}

// compressionError makes zlib's errors ones of the message.
func compressionError(err error) error {
	var syntax *ber.SyntaxError
	if errors.As(err, &syntax) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n *int64
}

func (c counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	*c.n += int64(n)
	return n, err
}
