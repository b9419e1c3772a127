package cert

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"iter"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
)

// MaxCRLSize limits one revocation list. A million entries take about 40 MiB.
const MaxCRLSize = 256 << 20

// CRL is a certificate revocation list (RFC 5280 §5). Its entries stay in Raw
// and are decoded one by one, so that a list of a million costs little more
// memory than its file.
type CRL struct {
	Raw       []byte // the whole list
	RawTBS    []byte // tbsCertList: what the issuer signed
	RawIssuer []byte // issuer Name, DER

	Issuer             Name
	ThisUpdate         time.Time
	NextUpdate         time.Time // zero when absent
	SignatureAlgorithm oid.AlgorithmIdentifier
	Signature          []byte

	Extensions     []Extension
	AuthorityKeyID []byte
	Number         *big.Int // cRLNumber, nil when absent
	BaseNumber     *big.Int // deltaCRLIndicator: nil unless this is a delta list
	// IssuingDistributionPoint is the scope of the list, nil when absent: all
	// certificates of its issuer.
	IssuingDistributionPoint *IssuingDistributionPoint
	FreshestCRL              []DistributionPoint // RFC 5280 §5.2.6: where delta lists for this one are
	// ExpiredCertsSince is expiredCertsOnCRL (X.509 §9.5.2.8): the list keeps
	// entries of certificates that have ended since then. Zero when absent.
	ExpiredCertsSince time.Time

	// UnknownCriticalEntry is set when any entry has a critical extension that
	// is not known. Such a list must not be used to say "good" of any
	// certificate (RFC 5280 §5.3).
	UnknownCriticalEntry bool
	// Defects are violations of RFC 5280 that leave the meaning of the list
	// open. Such a list says nothing about any certificate.
	Defects []error

	entries cryptobyte.String // content of revokedCertificates
	count   int

	badEntry bool // one defect stands for all entries
}

// IssuingDistributionPoint is RFC 5280 §5.2.5.
type IssuingDistributionPoint struct {
	FullName                   GeneralNames
	RelativeName               RDN
	OnlyContainsUserCerts      bool
	OnlyContainsCACerts        bool
	OnlySomeReasons            ReasonFlags // zero: all reasons
	IndirectCRL                bool
	OnlyContainsAttributeCerts bool
}

// ParseCRL reads one revocation list, DER or PEM ("X509 CRL").
func ParseCRL(data []byte) (*CRL, error) {
	if block, _ := pem.Decode(data); block != nil {
		if block.Type != "X509 CRL" {
			return nil, within("parse CRL", fmt.Errorf("PEM of type %q, not X509 CRL", block.Type))
		}
		data = block.Bytes
	}
	l, err := parseCRL(data)
	return l, within("parse CRL", err)
}

func parseCRL(raw []byte) (*CRL, error) {
	if len(raw) > MaxCRLSize {
		return nil, fmt.Errorf("%d octets, more than %d", len(raw), MaxCRLSize)
	}
	der, err := ber.DER(raw)
	if err != nil {
		return nil, err
	}
	signed, err := parseSigned(raw, der, "CRL")
	if err != nil {
		return nil, err
	}
	l := &CRL{Raw: raw, RawTBS: signed.raw, SignatureAlgorithm: signed.algorithm, Signature: signed.signature}
	if err := l.parseTBS(signed.body); err != nil {
		return nil, err
	}
	return l, nil
}

// parseTBS reads the content of TBSCertList (RFC 5280 §5.1.2).
func (l *CRL) parseTBS(tbs cryptobyte.String) error {
	if tbs.PeekASN1Tag(asn1.INTEGER) {
		var version cryptobyte.String
		if !tbs.ReadASN1(&version, asn1.INTEGER) {
			return malformed("version")
		}
		if !bytes.Equal(version, []byte{1}) {
			l.defect("version", errors.New("not 2")) // RFC 5280 §5.1.2.1
		}
	}
	var inner oid.AlgorithmIdentifier
	if !oid.ReadAlgorithm(&tbs, &inner) {
		return malformed("signature algorithm in tbsCertList")
	}
	if inner.Algorithm != l.SignatureAlgorithm.Algorithm || !bytes.Equal(inner.Parameters, l.SignatureAlgorithm.Parameters) {
		l.defect("signature", errors.New("algorithm differs from signatureAlgorithm")) // RFC 5280 §5.1.1.2
	}
	var err error
	if l.RawIssuer, l.Issuer, err = readName(&tbs); err != nil {
		return within("issuer", err)
	}
	if !readTime(&tbs, &l.ThisUpdate) {
		return malformed("thisUpdate")
	}
	if (tbs.PeekASN1Tag(asn1.UTCTime) || tbs.PeekASN1Tag(asn1.GeneralizedTime)) && !readTime(&tbs, &l.NextUpdate) {
		return malformed("nextUpdate")
	}
	if tbs.PeekASN1Tag(asn1.SEQUENCE) && !tbs.ReadASN1(&l.entries, asn1.SEQUENCE) {
		return malformed("revokedCertificates")
	}
	if err := l.parseOptional(tbs); err != nil {
		return err
	}
	return l.checkEntries()
}

func (l *CRL) parseOptional(tbs cryptobyte.String) error {
	var explicit cryptobyte.String
	var present bool
	if !tbs.ReadOptionalASN1(&explicit, &present, constructedTag(0)) || !tbs.Empty() {
		return malformed("extensions")
	}
	if !present {
		return nil
	}
	var err error
	if l.Extensions, err = readExtensions(explicit); err != nil {
		return within("extensions", err)
	}
	seen := map[oid.OID]bool{}
	for _, e := range l.Extensions {
		if seen[e.ID] {
			l.defect("extension "+e.ID.Name(), errors.New("repeated"))
			continue
		}
		seen[e.ID] = true
		if err := l.parseExtension(e); err != nil {
			l.defect("extension "+e.ID.Name(), err)
		}
	}
	return nil
}

func (l *CRL) parseExtension(e Extension) (err error) {
	switch e.ID {
	case oid.ExtAuthorityKeyID:
		l.AuthorityKeyID, err = parseAuthorityKeyID(e.Value)
	case oid.ExtCRLNumber:
		l.Number, err = parseNumber(e.Value)
	case oid.ExtDeltaCRLIndicator:
		l.BaseNumber, err = parseNumber(e.Value)
	case oid.ExtIssuingDistributionPoint:
		l.IssuingDistributionPoint, err = parseIssuingDistributionPoint(e.Value)
	case oid.ExtFreshestCRL:
		l.FreshestCRL, err = parseDistributionPoints(e.Value)
	case oid.ExtExpiredCertsOnCRL:
		l.ExpiredCertsSince, err = parseGeneralizedTime(e.Value)
	}
	return err
}

func (l *CRL) defect(where string, err error) {
	l.Defects = append(l.Defects, within(where, err))
}

// Len returns the number of entries.
func (l *CRL) Len() int { return l.count }

// Entries gives every entry in order.
func (l *CRL) Entries() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		issuer := l.Issuer
		for s := l.entries; !s.Empty(); {
			var raw rawEntry
			if !raw.read(&s) {
				return // checkEntries has read them all before
			}
			e, _ := raw.entry(issuer) // what is wrong is in Defects
			if l.indirect() {
				issuer = e.Issuer
			}
			e.Issuer = issuer
			if !yield(e) {
				return
			}
		}
	}
}

// indirect tells whether entries may name their certificates' issuers
// themselves.
func (l *CRL) indirect() bool {
	return l.IssuingDistributionPoint != nil && l.IssuingDistributionPoint.IndirectCRL
}

// Lookup returns the entry for the certificate with that issuer and serial
// number. An indirect list names the issuers of its entries itself (RFC 5280
// §5.3.3); in any other all entries are the list's issuer's.
func (l *CRL) Lookup(issuer Name, serial *big.Int) (Entry, bool) {
	indirect := l.indirect()
	current := l.Issuer
	for s := l.entries; !s.Empty(); {
		var raw rawEntry
		if !raw.read(&s) {
			return Entry{}, false
		}
		hit := raw.hasSerial(serial)
		if !hit && (!indirect || len(raw.extensions) == 0) {
			continue
		}
		e, _ := raw.entry(current)
		if indirect {
			current = e.Issuer
		}
		e.Issuer = current
		if hit && current.Equal(issuer) {
			return e, true
		}
	}
	return Entry{}, false
}

func parseNumber(der []byte) (*big.Int, error) {
	s := cryptobyte.String(der)
	var n *big.Int
	if !readInteger(&s, &n) || !s.Empty() || n.Sign() < 0 {
		return nil, malformed("number")
	}
	return n, nil
}

func parseGeneralizedTime(der []byte) (t time.Time, err error) {
	s := cryptobyte.String(der)
	if !readGeneralizedTime(&s, &t) || !s.Empty() {
		return time.Time{}, malformed("time")
	}
	return t, nil
}

func parseIssuingDistributionPoint(der []byte) (*IssuingDistributionPoint, error) {
	p := &IssuingDistributionPoint{}
	seq, err := readSequence(der, "value")
	if err != nil {
		return p, err
	}
	var name, reasons cryptobyte.String
	var hasName, hasReasons bool
	if !seq.ReadOptionalASN1(&name, &hasName, constructedTag(0)) {
		return p, malformed("distributionPoint")
	}
	if hasName {
		if p.FullName, p.RelativeName, err = readDistributionPointName(name); err != nil {
			return p, err
		}
	}
	if !readFlag(&seq, 1, &p.OnlyContainsUserCerts) || !readFlag(&seq, 2, &p.OnlyContainsCACerts) ||
		!seq.ReadOptionalASN1(&reasons, &hasReasons, contextTag(3)) ||
		!readFlag(&seq, 4, &p.IndirectCRL) || !readFlag(&seq, 5, &p.OnlyContainsAttributeCerts) || !seq.Empty() {
		return p, malformed("value")
	}
	if hasReasons {
		p.OnlySomeReasons, err = reasonFlags(reasons)
	}
	return p, err
}

// readFlag reads an IMPLICIT BOOLEAN DEFAULT FALSE.
func readFlag(s *cryptobyte.String, tag uint8, v *bool) bool {
	return !s.PeekASN1Tag(contextTag(tag)) || readBoolean(s, contextTag(tag), v)
}
