package issuance

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/big"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// ReasonAllowed tells whether a list of ours may name the reason (RFC 5280
// §5.3.1): removeFromCRL belongs to delta lists, aACompromise to attribute
// certificates. certificateHold is not offered: S/MIME BR §7.2.2 forbid it for
// strict certificates, and who may be let go again was never quite revoked.
func ReasonAllowed(r cert.Reason) bool {
	return r >= cert.Unspecified && r <= cert.CessationOfOperation || r == cert.PrivilegeWithdrawn
}

// Partitions of an authority's CRL: at most this many (RFC 5280 §5.2.5 has no
// limit; one list of a million entries is 40 MB).
const MaxPartitions = 1024

// Revoked is one entry of a CRL.
type Revoked struct {
	Serial []byte // big endian, no leading zero octets
	At     time.Time
	Reason cert.Reason // Unspecified is not written: the extension is left out
}

// RevocationList is what a CRL says.
type RevocationList struct {
	Number                 int64 // higher than any before
	ThisUpdate, NextUpdate time.Time
	Partition              int // which one, see [Issuer.Partition]; 0 where there is one
	Revoked                iter.Seq2[Revoked, error]
}

// Publish says where OCSP is answered for the issuer ("": nowhere) and in how
// many partitions its CRL is published. Certificates name both, so that they
// are fixed for good before the first one is issued.
func (is *Issuer) Publish(ocspURL string, partitions int) error {
	if partitions < 1 || partitions > MaxPartitions {
		return fmt.Errorf("a CRL has 1 to %d partitions, not %d", MaxPartitions, partitions)
	}
	if ocspURL != "" {
		if err := checkHTTP(ocspURL); err != nil {
			return err
		}
	}
	is.ocspURL, is.partitions = ocspURL, partitions
	return nil
}

// Partition tells which partition of the CRL a serial number belongs to.
func (is *Issuer) Partition(serial *big.Int) int {
	var n big.Int
	return int(n.Mod(serial, big.NewInt(int64(is.partitions))).Int64())
}

// PartitionURL is where a partition of the CRL is served: the CRL's address
// itself where there is one, else a file of its own below it.
func (is *Issuer) PartitionURL(partition int) string {
	if is.partitions == 1 {
		return is.crlURL
	}
	return strings.TrimSuffix(is.crlURL, ".crl") + "/" + strconv.Itoa(partition) + ".crl"
}

// WriteCRL signs a CRL, version 2 (RFC 5280 §5), and writes it. The entries
// are read once and kept in their encoded form, some 40 octets each, because
// their length stands before them; the signature is made from the digest of the
// pieces. Nothing is written before the list is signed and that was checked.
func (is *Issuer) WriteCRL(w io.Writer, l RevocationList) error {
	switch {
	case l.Number < 1:
		return errors.New("sign CRL: a number starts at 1")
	case !l.NextUpdate.After(l.ThisUpdate):
		return errors.New("sign CRL: nextUpdate is not after thisUpdate")
	case !is.certificate.Allows(cert.KeyUsageCRLSign):
		return errors.New("sign CRL: the authority's certificate does not allow it")
	case l.Partition < 0 || l.Partition >= is.partitions:
		return fmt.Errorf("sign CRL: partition %d of %d", l.Partition, is.partitions)
	}
	pieces, err := is.tbsCertList(l)
	if err != nil {
		return fmt.Errorf("sign CRL: %w", err)
	}
	if pieces, err = is.signPieces(pieces); err != nil {
		return fmt.Errorf("sign CRL: %w", err)
	}
	for _, p := range pieces {
		if _, err := w.Write(p); err != nil {
			return fmt.Errorf("write CRL: %w", err)
		}
	}
	return nil
}

// tbsCertList returns TBSCertList in pieces: what stands before the entries,
// the entries, what stands after them.
func (is *Issuer) tbsCertList(l RevocationList) ([][]byte, error) {
	entries, err := encodeEntries(l.Revoked)
	if err != nil {
		return nil, err
	}
	var before, after cryptobyte.Builder
	before.AddASN1Int64(1) // version 2
	is.scheme.Algorithm.Add(&before)
	before.AddBytes(is.certificate.RawSubject)
	addTime(&before, l.ThisUpdate)
	addTime(&before, l.NextUpdate)
	if size := sizeOf(entries); size > 0 { // absent when empty (RFC 5280 §5.1.2.6)
		before.AddBytes(header(asn1.SEQUENCE, size))
	}
	list := []extension{authorityKeyID(is.certificate.SubjectKeyID), crlNumber(l.Number)}
	if is.partitions > 1 {
		list = append(list, issuingDistributionPoint(is.PartitionURL(l.Partition)))
	}
	after.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { addExtensions(b, list) })
	first, err := before.Bytes()
	if err != nil {
		return nil, err
	}
	last, err := after.Bytes()
	if err != nil {
		return nil, err
	}
	return wrap(append(append([][]byte{first}, entries...), last)), nil
}

// signPieces signs what the pieces are together and wraps them up as SEQUENCE
// { tbs, algorithm, signature }.
func (s signer) signPieces(tbs [][]byte) ([][]byte, error) {
	sig, err := s.signatureOf(tbs)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	s.scheme.Algorithm.Add(&b)
	b.AddASN1BitString(sig)
	tail, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	return wrap(append(tbs, tail)), nil
}

func (s signer) signatureOf(tbs [][]byte) ([]byte, error) {
	sig, err := s.signPieced(tbs)
	if errors.Is(err, signature.ErrWholeMessage) {
		whole := bytes.Join(tbs, nil)
		return s.signature(whole)
	}
	return sig, err
}

func (s signer) signPieced(tbs [][]byte) ([]byte, error) {
	if s.scheme.Hash() == 0 {
		return nil, signature.ErrWholeMessage
	}
	h := s.scheme.Hash().New()
	for _, p := range tbs {
		h.Write(p)
	}
	sum := h.Sum(nil)
	sig, err := s.scheme.SignDigest(rand.Reader, s.key, sum)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if err := s.scheme.VerifyDigest(s.key.Public(), sum, sig); err != nil {
		return nil, fmt.Errorf("check our own signature: %w", err)
	}
	return sig, nil
}

// pieceSize is the room of one piece of the encoded entries.
const pieceSize = 1 << 20

// encodeEntries encodes SEQUENCE OF SEQUENCE without the outer header.
func encodeEntries(list iter.Seq2[Revoked, error]) (pieces [][]byte, err error) {
	if list == nil {
		return nil, nil
	}
	var piece []byte
	for r, err := range list {
		if err != nil {
			return nil, err
		}
		if cap(piece)-len(piece) < maxEntry {
			if piece != nil {
				pieces = append(pieces, piece)
			}
			piece = make([]byte, 0, pieceSize)
		}
		if piece, err = appendRevoked(piece, r); err != nil {
			return nil, err
		}
	}
	if len(piece) > 0 {
		pieces = append(pieces, piece)
	}
	return pieces, nil
}

const (
	maxSerialOctets = 20 // RFC 5280 §4.1.2.2
	// maxEntry: header, serial number, GeneralizedTime, extension.
	maxEntry = 2 + 2 + maxSerialOctets + 17 + 14
)

// appendRevoked writes one entry; by hand, because a list may have a million
// of them. It is never longer than 127 octets.
func appendRevoked(b []byte, r Revoked) ([]byte, error) {
	if n := len(r.Serial); n == 0 || r.Serial[0] == 0 || n > maxSerialOctets || n == maxSerialOctets && r.Serial[0]&0x80 != 0 {
		return nil, fmt.Errorf("entry with serial number %x, which is not one of 1 to %d octets", r.Serial, maxSerialOctets)
	}
	if !ReasonAllowed(r.Reason) {
		return nil, fmt.Errorf("entry %x has reason %d, which is not one of a list of ours", r.Serial, int(r.Reason))
	}
	start := len(b)
	b = append(b, byte(asn1.SEQUENCE), 0, byte(asn1.INTEGER), byte(len(r.Serial)))
	if r.Serial[0]&0x80 != 0 { // a positive INTEGER
		b[len(b)-1]++
		b = append(b, 0)
	}
	b = append(b, r.Serial...)
	b = appendTime(b, r.At)
	if r.Reason != cert.Unspecified {
		// SEQUENCE { SEQUENCE { id-ce-cRLReasons, OCTET STRING { ENUMERATED } } }
		b = append(b, 0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01, byte(r.Reason))
	}
	b[start+1] = byte(len(b) - start - 2)
	return b, nil
}

// appendTime is addTime for many.
func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	if t.Year() >= 1950 && t.Year() < 2050 {
		return t.AppendFormat(append(b, byte(asn1.UTCTime), 13), "060102150405Z")
	}
	return t.AppendFormat(append(b, byte(asn1.GeneralizedTime), 15), "20060102150405Z")
}

func sizeOf(pieces [][]byte) (n int) {
	for _, p := range pieces {
		n += len(p)
	}
	return n
}

// wrap puts the header of a SEQUENCE before the pieces.
func wrap(pieces [][]byte) [][]byte {
	return append([][]byte{header(asn1.SEQUENCE, sizeOf(pieces))}, pieces...)
}

// header is tag and length of DER (X.690 §10.1: the shortest form).
func header(tag asn1.Tag, size int) []byte {
	if size < 0x80 {
		return []byte{byte(tag), byte(size)}
	}
	length := big.NewInt(int64(size)).Bytes()
	return append([]byte{byte(tag), 0x80 | byte(len(length))}, length...)
}

func crlNumber(n int64) extension {
	return extension{oid.ExtCRLNumber, false, func(b *cryptobyte.Builder) { b.AddASN1Int64(n) }}
}

// issuingDistributionPoint is critical and names the address that stands in
// the certificates of the partition, which are what the list is about (RFC 5280
// §5.2.5): without it another partition could be passed off as this one.
func issuingDistributionPoint(uri string) extension {
	return extension{oid.ExtIssuingDistributionPoint, true, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { addPointName(b, uri) })
	}}
}
