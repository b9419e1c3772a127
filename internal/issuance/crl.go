package issuance

import (
	"crypto/rand"
	"errors"
	"fmt"
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
// limit; one list of a million entries is 45 MB).
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
	Size                   int // octets that the list will have, as far as is known; saves copies
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

// SignCRL signs a CRL, version 2 (RFC 5280 §5). The entries are read once and
// encoded where they stay, some 45 octets each: what stands before them and
// depends on their length goes into room that was left for it.
func (is *Issuer) SignCRL(l RevocationList) ([]byte, error) {
	switch {
	case l.Number < 1:
		return nil, errors.New("sign CRL: a number starts at 1")
	case !l.NextUpdate.After(l.ThisUpdate):
		return nil, errors.New("sign CRL: nextUpdate is not after thisUpdate")
	case !is.certificate.Allows(cert.KeyUsageCRLSign):
		return nil, errors.New("sign CRL: the authority's certificate does not allow it")
	case l.Partition < 0 || l.Partition >= is.partitions:
		return nil, fmt.Errorf("sign CRL: partition %d of %d", l.Partition, is.partitions)
	}
	der, err := is.tbsCertList(l)
	if err == nil {
		err = is.signList(der)
	}
	if err != nil {
		return nil, fmt.Errorf("sign CRL: %w", err)
	}
	return der.bytes(), nil
}

// tbsCertList encodes TBSCertList.
func (is *Issuer) tbsCertList(l RevocationList) (*frontier, error) {
	var before, after cryptobyte.Builder
	before.AddASN1Int64(1) // version 2
	is.scheme.Algorithm.Add(&before)
	before.AddBytes(is.certificate.RawSubject)
	addTime(&before, l.ThisUpdate)
	addTime(&before, l.NextUpdate)
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
	// Headers of the entries, of TBSCertList and of CertificateList.
	f := newFrontier(len(first)+3*maxHeader, l.Size+listSlack)
	if f.b, err = appendEntries(f.b, l.Revoked); err != nil {
		return nil, err
	}
	if f.size() > 0 { // absent when empty (RFC 5280 §5.1.2.6)
		f.wrap()
	}
	f.before(first)
	f.b = append(f.b, last...)
	f.wrap()
	return f, nil
}

// signList signs TBSCertList and makes it SEQUENCE { tbs, algorithm, signature }.
func (s signer) signList(f *frontier) error {
	sig, err := s.signatureOver(f.bytes())
	if err != nil {
		return err
	}
	var b cryptobyte.Builder
	s.scheme.Algorithm.Add(&b)
	b.AddASN1BitString(sig)
	tail, err := b.Bytes()
	if err != nil {
		return err
	}
	f.b = append(f.b, tail...)
	f.wrap()
	return nil
}

// signatureOver is signature for a message so long that it is digested once.
func (s signer) signatureOver(tbs []byte) ([]byte, error) {
	if s.scheme.Hash() == 0 {
		return s.signature(tbs)
	}
	h := s.scheme.Hash().New()
	h.Write(tbs)
	sum := h.Sum(nil)
	sig, err := s.scheme.SignDigest(rand.Reader, s.key, sum)
	switch {
	case errors.Is(err, signature.ErrWholeMessage):
		return s.signature(tbs)
	case err != nil:
		return nil, fmt.Errorf("sign: %w", err)
	}
	if err := s.scheme.VerifyDigest(s.key.Public(), sum, sig); err != nil {
		return nil, fmt.Errorf("check our own signature: %w", err)
	}
	return sig, nil
}

// frontier is DER that grows at both ends: a length stands before what it is
// the length of.
type frontier struct {
	b     []byte
	start int // the room before it is free
}

func newFrontier(room, size int) *frontier {
	return &frontier{make([]byte, room, room+size), room}
}

func (f *frontier) bytes() []byte { return f.b[f.start:len(f.b):len(f.b)] }
func (f *frontier) size() int     { return len(f.b) - f.start }

// before puts octets in front.
func (f *frontier) before(octets []byte) {
	f.start -= len(octets)
	copy(f.b[f.start:], octets)
}

// wrap makes all that is there a SEQUENCE.
func (f *frontier) wrap() { f.before(header(asn1.SEQUENCE, f.size())) }

// listSlack is room for what a list has beside its entries, and for a few more
// of them than the last one had.
const listSlack = 64 << 10

// appendEntries encodes SEQUENCE OF SEQUENCE without the outer header.
func appendEntries(b []byte, list iter.Seq2[Revoked, error]) ([]byte, error) {
	if list == nil {
		return b, nil
	}
	for r, err := range list {
		if err == nil {
			b, err = appendRevoked(b, r)
		}
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

const maxSerialOctets = 20 // RFC 5280 §4.1.2.2

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
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	if year >= 1950 && year < 2050 {
		b = append(b, byte(asn1.UTCTime), 13)
	} else {
		b = appendTwo(append(b, byte(asn1.GeneralizedTime), 15), year/100)
	}
	for _, n := range [...]int{year % 100, int(month), day, hour, minute, second} {
		b = appendTwo(b, n)
	}
	return append(b, 'Z')
}

// appendTwo writes two decimal digits.
func appendTwo(b []byte, n int) []byte { return append(b, '0'+byte(n/10), '0'+byte(n%10)) }

// maxHeader is the longest header of what fits into memory.
const maxHeader = 2 + 8

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
