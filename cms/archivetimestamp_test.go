package cms

import (
	"bytes"
	"crypto"
	"crypto/sha512"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// archiveWorld is a message with everything that an archive timestamp covers.
type archiveWorld struct {
	ca        *testca.CA
	authority *TimestampAuthority
	signer    *Signer
	crl, ocsp []byte
}

var archivedContent = []byte("to be read in thirty years")

func newArchiveWorld(t testing.TB) *archiveWorld {
	ca := testca.New(t)
	return &archiveWorld{
		ca: ca, authority: authority(ca, testca.P256), signer: signerOf(ca.Leaf("alice@example.com", testca.P256), ca),
		crl: ca.Issuing.CRL(nil), ocsp: []byte("\x30\x03\x0a\x01\x06"), // OCSPResponse: unauthorized
	}
}

// message is signed, stamped, and has what it takes to verify it.
func (w *archiveWorld) message(t testing.TB, o SignOptions) []byte {
	t.Helper()
	o.Timestamp, o.Time = w.authority.stamp, testca.Now
	return amend(t, signed(t, archivedContent, []*Signer{w.signer}, &o), &Amendment{
		Certificates: []*cert.Certificate{w.ca.Root.Certificate}, CRLs: [][]byte{w.crl, w.ca.Root.CRL(nil)}, OCSPResponses: [][]byte{w.ocsp},
	})
}

// archived adds an archive timestamp to each signer.
func (w *archiveWorld) archived(t testing.TB, message []byte, h crypto.Hash) []byte {
	t.Helper()
	s, err := w.read(message)
	if err != nil {
		t.Fatal(err)
	}
	return amend(t, message, &Amendment{Unsigned: func(i int, _ *SignerInfo) (Attributes, error) {
		q, err := s.ArchiveTimestampRequest(i, h, nil)
		if err != nil {
			return nil, err
		}
		der, err := q.DER()
		if err != nil {
			return nil, err
		}
		response, err := w.authority.stamp(der)
		if err != nil {
			return nil, err
		}
		a, _, err := q.OpenAttribute(response)
		return Attributes{a}, err
	}})
}

// read verifies a message, detached or not.
func (w *archiveWorld) read(message []byte) (*SignedReader, error) {
	_, s, err := verify(message, nil)
	if errors.Is(err, ErrNoContent) {
		_, s, err = verify(message, &SignedOptions{Content: bytes.NewReader(archivedContent)})
	}
	return s, err
}

// stamps returns the archive timestamps of the first signer.
func (w *archiveWorld) stamps(t testing.TB, message []byte) []*ArchiveTimestamp {
	t.Helper()
	s, err := w.read(message)
	if err != nil {
		t.Fatal(err)
	}
	return s.Signers()[0].ArchiveTimestamps
}

// TestArchiveTimestampStructure walks every field of EN 319 122-1 §5.5.2 and
// §5.5.3 with a reader of its own, and computes the imprint anew.
func TestArchiveTimestampStructure(t *testing.T) {
	w := newArchiveWorld(t)
	for name, o := range map[string]SignOptions{"attached": {}, "detached": {Detached: true}} {
		t.Run(name, func(t *testing.T) {
			message := w.message(t, o)
			after := w.archived(t, message, 0)
			if !bytes.Equal(after, mustDER(t, after)) {
				t.Error("not DER")
			}
			m, was := walkArchive(t, after), walkArchive(t, message)
			if len(m.archive) != 1 || len(m.other) != 1 || len(was.archive) != 0 {
				t.Fatalf("%d archive timestamps, %d other unsigned attributes", len(m.archive), len(m.other))
			}
			// RFC 5652 §5.1: OCSP responses among crls make it version 5.
			if m.version != 5 {
				t.Errorf("version %d", m.version)
			}
			token := walkToken(t, m.archive[0])
			// §5.5.2: the index is the only unsigned attribute of its type, with one value.
			index := token.index
			if index.algorithm.Algorithm != oid.SHA256 || token.digest.Algorithm != oid.SHA256 {
				t.Errorf("digests %v, %v", index.algorithm, token.digest)
			}
			for list, want := range map[string][2][][]byte{
				"certificates": {index.certificates, m.certificates}, "crls": {index.crls, m.crls}, "unsignedAttrs": {index.attributes, was.other},
			} {
				if len(want[0]) != len(want[1]) {
					t.Fatalf("%s: %d hashes of %d elements", list, len(want[0]), len(want[1]))
				}
				for _, element := range want[1] {
					if hash := sum(crypto.SHA256, element); !slices.ContainsFunc(want[0], func(h []byte) bool { return bytes.Equal(h, hash) }) {
						t.Errorf("%s: no hash of %.20x", list, element)
					}
				}
			}
			if len(m.certificates) != 3 || len(m.crls) != 3 {
				t.Errorf("%d certificates, %d crls", len(m.certificates), len(m.crls))
			}
			// §5.5.3: eContentType, hash of the content, the SignerInfo's fields, the index.
			input := slices.Concat(m.contentType, sum(crypto.SHA256, archivedContent), bytes.Join(m.fields, nil), index.raw)
			if len(m.fields) != 6 || !bytes.Equal(token.imprint, sum(crypto.SHA256, input)) {
				t.Errorf("imprint over %d fields is not what the standard says", len(m.fields))
			}
			a := w.stamps(t, after)[0]
			if a.Err != nil || !a.Time.Equal(testca.Now) || !bytes.Equal(a.Stamped, input) {
				t.Errorf("%+v", a)
			}
		})
	}
}

func sum(h crypto.Hash, b []byte) []byte {
	d := h.New()
	d.Write(b)
	return d.Sum(nil)
}

// walkedArchive is a SignedData as encoded, read without the code under test.
type walkedArchive struct {
	version            int64
	contentType        []byte
	certificates, crls [][]byte
	fields             [][]byte // of the first SignerInfo, as far as the signature
	archive            [][]byte // tokens
	other              [][]byte // attrType and value of the other unsigned attributes
}

func walkArchive(t testing.TB, message []byte) (m walkedArchive) {
	t.Helper()
	in := cryptobyte.String(message)
	var info, tagged, s, content, set, signer cryptobyte.String
	if !in.ReadASN1(&info, 0x30) || !info.SkipASN1(6) || !info.ReadASN1(&tagged, 0xa0) || !tagged.ReadASN1(&s, 0x30) ||
		!s.ReadASN1Integer(&m.version) || !s.SkipASN1(0x31) || !s.ReadASN1(&content, 0x30) || !content.ReadASN1Element((*cryptobyte.String)(&m.contentType), 6) {
		t.Fatal("head")
	}
	if s.PeekASN1Tag(0xa0) && s.ReadASN1(&set, 0xa0) {
		m.certificates = children(t, set)
	}
	if s.PeekASN1Tag(0xa1) && s.ReadASN1(&set, 0xa1) {
		m.crls = children(t, set)
	}
	if !s.ReadASN1(&set, 0x31) || !set.ReadASN1(&signer, 0x30) {
		t.Fatal("signerInfos")
	}
	m.fields = children(t, signer)
	last := cryptobyte.String(m.fields[len(m.fields)-1])
	var unsigned cryptobyte.String
	if !last.ReadASN1(&unsigned, 0xa1) {
		return m
	}
	m.fields = m.fields[:len(m.fields)-1]
	for _, a := range children(t, unsigned) {
		attribute := cryptobyte.String(a)
		var seq, kind, values cryptobyte.String
		if !attribute.ReadASN1(&seq, 0x30) || !seq.ReadASN1Element(&kind, 6) || !seq.ReadASN1(&values, 0x31) {
			t.Fatal("attribute")
		}
		for _, v := range children(t, values) {
			// 0.4.0.1733.2.4
			if bytes.Equal(kind, []byte("\x06\x06\x04\x00\x8d\x45\x02\x04")) {
				m.archive = append(m.archive, v)
			} else {
				m.other = append(m.other, slices.Concat(kind, v))
			}
		}
	}
	return m
}

func children(t testing.TB, content cryptobyte.String) (out [][]byte) {
	t.Helper()
	for !content.Empty() {
		var e cryptobyte.String
		var tag asn1.Tag
		if !content.ReadAnyASN1Element(&e, &tag) {
			t.Fatal("element")
		}
		out = append(out, e)
	}
	return out
}

type walkedToken struct {
	digest  AlgorithmIdentifier
	imprint []byte
	index   struct {
		raw                            []byte
		algorithm                      AlgorithmIdentifier
		certificates, crls, attributes [][]byte
	}
}

func walkToken(t testing.TB, token []byte) (w walkedToken) {
	t.Helper()
	m := walkArchive(t, token)
	if len(m.other) != 1 || !bytes.HasPrefix(m.other[0], []byte("\x06\x07\x04\x00\x81\x95\x32\x01\x05")) { // 0.4.0.19122.1.5
		t.Fatalf("unsigned attributes of the token: %x", m.other)
	}
	kind := cryptobyte.String(m.other[0])
	var seq cryptobyte.String
	if !kind.SkipASN1(6) {
		t.Fatal("type")
	}
	w.index.raw = slices.Clone(kind)
	if !kind.ReadASN1(&seq, 0x30) || !kind.Empty() || !oid.ReadAlgorithm(&seq, &w.index.algorithm) {
		t.Fatal("ATSHashIndexV3")
	}
	for _, list := range []*[][]byte{&w.index.certificates, &w.index.crls, &w.index.attributes} {
		var hashes cryptobyte.String
		if !seq.ReadASN1(&hashes, 0x30) {
			t.Fatal("ATSHashIndexV3")
		}
		for !hashes.Empty() {
			var h cryptobyte.String
			if !hashes.ReadASN1(&h, 4) {
				t.Fatal("hash")
			}
			*list = append(*list, h)
		}
	}
	if !seq.Empty() {
		t.Fatal("more in ATSHashIndexV3")
	}
	read := readToken(token, nil)
	w.digest, w.imprint = read.Digest, read.Imprint
	return w
}

// TestArchiveTimestampCovers: one changed bit in anything that it is over is
// found, by the archive timestamp itself.
func TestArchiveTimestampCovers(t *testing.T) {
	w := newArchiveWorld(t)
	message := w.archived(t, w.message(t, SignOptions{}), 0)
	m := walkArchive(t, message)
	token := walkToken(t, m.archive[0])
	regions := map[string][]byte{
		"content":             archivedContent,
		"signature timestamp": m.other[0][13:],
		"index":               token.index.raw,
		"signed token":        m.archive[0][:400],
	}
	for i, c := range m.certificates {
		regions[fmt.Sprintf("certificate %d", i)] = c
	}
	for i, c := range m.crls {
		regions[fmt.Sprintf("crl %d", i)] = c
	}
	for i, name := range []string{"version", "sid", "digestAlgorithm", "signedAttrs", "signatureAlgorithm", "signature"} {
		regions[name] = m.fields[i]
	}
	for name, region := range regions {
		at := bytes.Index(message, region)
		if at < 0 {
			t.Errorf("%s is not in the message", name)
			continue
		}
		for i := 0; i < len(region); i += 1 + len(region)/40 {
			changed := slices.Clone(message)
			changed[at+i] ^= 4
			s, _ := w.read(changed)
			if s == nil {
				continue // no SignedData any more
			}
			for _, r := range s.Signers() {
				for _, a := range r.ArchiveTimestamps {
					if a.Err == nil {
						t.Errorf("%s: octet %d changed, and the archive timestamp stands", name, i)
					}
				}
			}
		}
	}
	a := w.stamps(t, message)[0]
	for what, ok := range map[string]bool{
		"certificate": a.CoversCertificate(w.signer.Certificate) && a.CoversCertificate(w.ca.Root.Certificate),
		"crl":         a.CoversCRL(w.crl), "ocsp": a.CoversOCSPResponse(w.ocsp),
		"timestamp": a.CoversUnsigned(oid.AttrTimeStampToken, m.other[0][13:]),
	} {
		if !ok {
			t.Errorf("%s is not covered", what)
		}
	}
	if a.CoversCertificate(w.authority.Signer.Certificate) || a.CoversCRL(m.crls[0][:9]) || a.CoversUnsigned(oid.AttrCountersignature, m.other[0][13:]) || a.CoversOCSPResponse(w.crl) {
		t.Error("covers what is not there")
	}
}

// What comes later is not covered and does no harm (§5.5.2 NOTE 5); a second
// archive timestamp covers the first.
func TestArchiveTimestampRenewed(t *testing.T) {
	w := newArchiveWorld(t)
	for name, o := range map[string]SignOptions{"DER": {}, "BER": {Indefinite: true}, "detached": {Detached: true}} {
		first := w.archived(t, w.message(t, o), 0)
		late := w.ca.Leaf("late@example.com", testca.P256).Certificate
		grown := amend(t, first, &Amendment{Certificates: []*cert.Certificate{late}, CRLs: [][]byte{w.ca.Issuing.CRL(nil)}})
		grown = countersigned(t, grown, notary(w.ca))
		stamps := w.stamps(t, grown)
		if len(stamps) != 1 || stamps[0].Err != nil || stamps[0].CoversCertificate(late) {
			t.Fatalf("%s: %+v", name, stamps)
		}
		second := w.archived(t, grown, 0)
		stamps = w.stamps(t, second)
		if len(stamps) != 2 || stamps[0].Err != nil || stamps[1].Err != nil {
			t.Fatalf("%s: %+v", name, stamps)
		}
		over := func(i, j int) bool {
			s, _ := w.read(second)
			return stamps[i].CoversUnsigned(oid.AttrArchiveTimestampV3, s.Signers()[0].UnsignedAttrs.Values(oid.AttrArchiveTimestampV3)[j])
		}
		if over(0, 0) || over(1, 1) || over(0, 1) == over(1, 0) {
			t.Errorf("%s: one covers the other, and only so", name)
		}
		// A change to the first, in its index, breaks both.
		old := w.stamps(t, first)[0].index.der
		if bytes.Count(second, old) != 1 {
			t.Fatalf("%s: the first was encoded anew", name)
		}
		changed := slices.Clone(old)
		changed[len(changed)-1] ^= 1
		s, _ := w.read(bytes.Replace(second, old, changed, 1))
		for i, a := range s.Signers()[0].ArchiveTimestamps {
			if !errors.Is(a.Err, ErrSignature) {
				t.Errorf("%s: %d stands over a changed one: %v", name, i, a.Err)
			}
		}
	}
}

// A newer digest, for when the signer's is no longer good enough.
func TestArchiveTimestampDigest(t *testing.T) {
	w := newArchiveWorld(t)
	for _, detached := range []bool{false, true} {
		message := w.message(t, SignOptions{Detached: detached})
		s, err := w.read(message)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.ArchiveTimestampRequest(0, crypto.SHA512, nil); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "announce") {
			t.Errorf("content not hashed with it: %v", err)
		}
		for h, want := range map[crypto.Hash]error{crypto.SHA1: ErrUnsupported, crypto.MD5: ErrUnsupported} {
			if _, err := s.ArchiveTimestampRequest(0, h, nil); !errors.Is(err, want) {
				t.Errorf("%v: %v", h, err)
			}
		}
		if _, err := s.ArchiveTimestampRequest(1, 0, nil); err == nil {
			t.Error("no such signer")
		}
		announced := amend(t, message, &Amendment{Digests: []AlgorithmIdentifier{{Algorithm: oid.SHA512}, {Algorithm: oid.SHA256}}})
		stamps := w.stamps(t, w.archived(t, announced, crypto.SHA512))
		if len(stamps) != 1 || stamps[0].Err != nil || !bytes.Contains(stamps[0].Stamped, sha512sum(archivedContent)) {
			t.Errorf("detached %v: %+v", detached, stamps)
		}
	}
}

func sha512sum(b []byte) []byte { s := sha512.Sum512(b); return s[:] }

// Several signers have archive timestamps of their own, which say nothing of the
// others.
func TestArchiveTimestampSeveralSigners(t *testing.T) {
	w := newArchiveWorld(t)
	bob := signerOf(w.ca.Leaf("bob@example.com", testca.RSA2048), w.ca)
	message := w.archived(t, signed(t, archivedContent, []*Signer{w.signer, bob}, nil), 0)
	s, err := w.read(message)
	if err != nil || len(s.Signers()) != 2 {
		t.Fatal(err)
	}
	var inputs [][]byte
	for _, r := range s.Signers() {
		if len(r.ArchiveTimestamps) != 1 || r.ArchiveTimestamps[0].Err != nil {
			t.Fatalf("%+v", r.ArchiveTimestamps)
		}
		inputs = append(inputs, r.ArchiveTimestamps[0].Stamped)
	}
	if bytes.Equal(inputs[0], inputs[1]) {
		t.Error("both are over the same")
	}
	// Moved to the other signer it is worth nothing.
	token := s.Signers()[0].UnsignedAttrs.Values(oid.AttrArchiveTimestampV3)[0]
	moved := amend(t, message, &Amendment{Unsigned: func(i int, _ *SignerInfo) (Attributes, error) {
		if i == 0 {
			return nil, nil
		}
		return Attributes{{Type: oid.AttrArchiveTimestampV3, Values: [][]byte{token}}}, nil
	}})
	s, _ = w.read(moved)
	for _, r := range s.Signers() {
		if stamps := r.ArchiveTimestamps; len(stamps) == 2 && (stamps[0].Err == nil) == (stamps[1].Err == nil) {
			t.Errorf("moved: %v, %v", stamps[0].Err, stamps[1].Err)
		}
	}
}

// withIndex is a message with an archive timestamp whose token was given these
// unsigned attributes in place of its own.
func (w *archiveWorld) withIndex(t testing.TB, change func(der []byte) Attributes) []byte {
	t.Helper()
	message := w.message(t, SignOptions{})
	s, err := w.read(message)
	if err != nil {
		t.Fatal(err)
	}
	q, err := s.ArchiveTimestampRequest(0, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	der, _ := q.DER()
	response, err := w.authority.stamp(der)
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := q.Open(response)
	if err != nil {
		t.Fatal(err)
	}
	token = amend(t, token, &Amendment{Unsigned: func(int, *SignerInfo) (Attributes, error) { return change(q.index.der), nil }})
	return amend(t, message, &Amendment{Unsigned: func(int, *SignerInfo) (Attributes, error) {
		return Attributes{{Type: oid.AttrArchiveTimestampV3, Values: [][]byte{token}}}, nil
	}})
}

func indexAttribute(values ...[]byte) Attributes {
	return Attributes{{Type: oid.AttrATSHashIndexV3, Values: values}}
}

func TestArchiveTimestampIndex(t *testing.T) {
	w := newArchiveWorld(t)
	null := []byte("\x30\x00")
	list := func(algorithm OID, lists ...[]byte) []byte {
		var b cryptobyte.Builder
		b.AddASN1(0x30, func(b *cryptobyte.Builder) {
			if algorithm != "" {
				AlgorithmIdentifier{Algorithm: algorithm}.Add(b)
			}
			b.AddBytes(bytes.Join(lists, nil))
		})
		return b.BytesOrPanic()
	}
	for name, tt := range map[string]struct {
		change func(der []byte) Attributes
		want   error
	}{
		"right":        {func(der []byte) Attributes { return indexAttribute(der) }, nil},
		"missing":      {func([]byte) Attributes { return nil }, ErrUnsupported},
		"twice":        {func(der []byte) Attributes { return append(indexAttribute(der), indexAttribute(der)...) }, ErrSignature},
		"two values":   {func(der []byte) Attributes { return indexAttribute(der, null) }, ErrSignature},
		"empty":        {func([]byte) Attributes { return indexAttribute(null) }, ErrMalformed},
		"two lists":    {func([]byte) Attributes { return indexAttribute(list(oid.SHA256, null, null)) }, ErrMalformed},
		"four lists":   {func([]byte) Attributes { return indexAttribute(list(oid.SHA256, null, null, null, null)) }, ErrMalformed},
		"no digest":    {func([]byte) Attributes { return indexAttribute(list("", null, null, null)) }, ErrMalformed},
		"odd digest":   {func([]byte) Attributes { return indexAttribute(list(oid.Data, null, null, null)) }, ErrUnsupported},
		"other digest": {func([]byte) Attributes { return indexAttribute(list(oid.SHA512, null, null, null)) }, ErrSignature},
		"short entry": {func([]byte) Attributes {
			return indexAttribute(list(oid.SHA256, []byte("\x30\x03\x04\x01a"), null, null))
		}, ErrMalformed},
		"covers less": {func([]byte) Attributes { return indexAttribute(list(oid.SHA256, null, null, null)) }, ErrSignature},
	} {
		a := w.stamps(t, w.withIndex(t, tt.change))[0]
		if tt.want == nil && a.Err != nil || !errors.Is(a.Err, tt.want) {
			t.Errorf("%s: %v, want %v", name, a.Err, tt.want)
		}
		if tt.want != nil && a.CoversCertificate(w.signer.Certificate) {
			t.Errorf("%s: covers something", name)
		}
	}
}

// A signature timestamp is no archive timestamp and the other way about.
func TestArchiveTimestampMixedUp(t *testing.T) {
	w := newArchiveWorld(t)
	message := w.archived(t, w.message(t, SignOptions{}), 0)
	s, _ := w.read(message)
	r := s.Signers()[0]
	mixed := amend(t, message, &Amendment{Unsigned: func(int, *SignerInfo) (Attributes, error) {
		return Attributes{
			{Type: oid.AttrArchiveTimestampV3, Values: r.UnsignedAttrs.Values(oid.AttrTimeStampToken)},
			TimestampAttribute(r.UnsignedAttrs.Values(oid.AttrArchiveTimestampV3)[0]),
		}, nil
	}})
	s, _ = w.read(mixed)
	good := 0
	for _, a := range s.Signers()[0].ArchiveTimestamps {
		if a.Err == nil {
			good++
		}
	}
	for _, a := range s.Signers()[0].Timestamps {
		if a.Err == nil {
			good++
		}
	}
	if good != 2 {
		t.Errorf("%d of 4 timestamps are good, want one of each kind", good)
	}
}

// The number of archive timestamps that are checked is bounded with the rest of
// what anyone can add.
func TestArchiveTimestampLimit(t *testing.T) {
	w := newArchiveWorld(t)
	message := w.archived(t, w.message(t, SignOptions{}), 0)
	s, _ := w.read(message)
	token := s.Signers()[0].UnsignedAttrs.Values(oid.AttrArchiveTimestampV3)[0]
	many := amend(t, message, &Amendment{Unsigned: func(int, *SignerInfo) (Attributes, error) {
		return Attributes{{Type: oid.AttrArchiveTimestampV3, Values: slices.Repeat([][]byte{token}, MaxUnsignedSignatures)}}, nil
	}})
	checked := 0
	for _, a := range w.stamps(t, many) {
		if !errors.Is(a.Err, errTooManyUnsigned) {
			checked++
		}
	}
	if checked != MaxUnsignedSignatures-1 { // and the signature timestamp
		t.Errorf("%d checked", checked)
	}
}

func TestAmendDetach(t *testing.T) {
	w := newArchiveWorld(t)
	for name, o := range map[string]SignOptions{"DER": {}, "BER": {Indefinite: true}, "detached": {Detached: true}} {
		message := w.archived(t, w.message(t, o), 0)
		bare := amend(t, message, &Amendment{Detach: true})
		if bytes.Contains(bare, archivedContent) {
			t.Errorf("%s: content is still there", name)
		}
		_, s, err := verify(bare, &SignedOptions{Content: bytes.NewReader(archivedContent)})
		if err != nil || !s.Detached() || s.Signers()[0].ArchiveTimestamps[0].Err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := verify(bare, &SignedOptions{Content: strings.NewReader("something else")}); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: other content: %v", name, err)
		}
	}
}

// FuzzHashIndex: what is read is written the same again.
func FuzzHashIndex(f *testing.F) {
	x, err := newHashIndex(AlgorithmIdentifier{Algorithm: oid.SHA256}, [][]byte{{1}}, nil, [][]byte{{2}, {3}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(x.der)
	f.Add([]byte("\x30\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		x, err := parseHashIndex(in)
		if err != nil {
			return
		}
		if x.has(x.certificates, in) && len(x.certificates) == 0 {
			t.Fatal("an empty list has something")
		}
		if n := 32 * (len(x.certificates) + len(x.revocation) + len(x.attributes)); n > 4*len(in) {
			t.Fatalf("%d octets of hashes from %d", n, len(in))
		}
	})
}
