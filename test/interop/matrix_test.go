package interop

import (
	"bytes"
	"crypto"
	goflag "flag"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
)

var update = goflag.Bool("update", false, "write docs/interop.md anew")

const page = "../../docs/interop.md"

// algorithm is one row of the matrix: a signature, a way of a key to its
// recipient with a cipher, or one of the other content types.
type algorithm struct {
	name   string
	kind   testca.Kind
	form   form
	digest crypto.Hash // signed, and OAEP's
	pss    bool
	cipher cms.Cipher
}

type form int

const (
	signedForm form = iota + 1
	toCertificate
	toPassphrase
	toSharedKey
	compressedForm
	digestedForm
	encryptedForm     // under sharedKey
	authenticatedForm // to an RSA key
)

const secret = "correct horse battery staple"

var (
	sharedKey   = bytes.Repeat([]byte{0x5a}, 32)
	sharedKeyID = []byte("office")
)

// algorithms are those of the engine, each once; ciphers with the key that
// every peer has.
func algorithms() []algorithm {
	var rows []algorithm
	sign := func(name string, kind testca.Kind, h crypto.Hash, pss bool) {
		rows = append(rows, algorithm{name: name, kind: kind, form: signedForm, digest: h, pss: pss})
	}
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA3_256, crypto.SHA3_512} {
		sign("RSA PKCS #1 v1.5, "+h.String(), testca.RSA2048, h, false)
	}
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		sign("RSA-PSS, "+h.String(), testca.RSA2048, h, true)
	}
	sign("ECDSA P-256, SHA-256", testca.P256, crypto.SHA256, false)
	sign("ECDSA P-256, SHA3-256", testca.P256, crypto.SHA3_256, false)
	sign("ECDSA P-384, SHA-384", testca.P384, crypto.SHA384, false)
	sign("ECDSA P-521, SHA-512", testca.P521, crypto.SHA512, false)
	for _, kind := range []testca.Kind{testca.Ed25519, testca.Ed448, testca.MLDSA65, testca.SLHDSA} {
		sign(kind.String(), kind, 0, false)
	}
	encrypt := func(name string, kind testca.Kind, oaep crypto.Hash, f form, c cms.Cipher) {
		rows = append(rows, algorithm{name: name, kind: kind, form: f, digest: oaep, cipher: c})
	}
	encrypt("RSA PKCS #1 v1.5", testca.RSA2048, 0, toCertificate, cms.AES256CBC)
	encrypt("RSA-OAEP, SHA-256", testca.RSA2048, crypto.SHA256, toCertificate, cms.AES256CBC)
	encrypt("RSA-OAEP, SHA-512", testca.RSA2048, crypto.SHA512, toCertificate, cms.AES256CBC)
	for _, kind := range []testca.Kind{testca.P256, testca.P384, testca.P521, testca.X25519, testca.X448} {
		encrypt("ECDH "+kind.String(), kind, 0, toCertificate, cms.AES256CBC)
	}
	for _, kind := range []testca.Kind{testca.MLKEM512, testca.MLKEM768, testca.MLKEM1024} {
		encrypt(kind.String(), kind, 0, toCertificate, cms.AES256CBC)
	}
	encrypt("passphrase", 0, 0, toPassphrase, cms.AES256CBC)
	encrypt("shared key (KEK)", 0, 0, toSharedKey, cms.AES256CBC)
	for _, c := range cms.Ciphers() {
		if c != cms.AES256CBC {
			encrypt("RSA PKCS #1 v1.5, "+c.String(), testca.RSA2048, 0, toCertificate, c)
		}
	}
	return append(rows,
		algorithm{name: "CompressedData", form: compressedForm},
		algorithm{name: "DigestedData, SHA-256", form: digestedForm, digest: crypto.SHA256},
		algorithm{name: "DigestedData, SHA-512", form: digestedForm, digest: crypto.SHA512},
		algorithm{name: "EncryptedData, aes-256-cbc", form: encryptedForm, cipher: cms.AES256CBC},
		algorithm{name: "AuthenticatedData, RSA PKCS #1 v1.5, HMAC-SHA-256", form: authenticatedForm, kind: testca.RSA2048})
}

// expert is a peer that is asked for everything. An error of write or read
// means that it does not do it.
type expert interface {
	title(t testing.TB) string
	write(t testing.TB, a algorithm, p *party, content []byte) ([]byte, error)
	read(t testing.TB, a algorithm, p *party, message []byte) ([]byte, error)
}

// TestMatrix holds every algorithm to every peer in both directions, and the
// results to docs/interop.md: what a peer began to do, or no longer does, fails
// as well.
func TestMatrix(t *testing.T) {
	ca := testca.New(t, validNow())
	people := map[testca.Kind]*party{}
	for _, a := range algorithms() {
		if a.form == signedForm || a.form == toCertificate {
			if people[a.kind] == nil {
				people[a.kind] = newParty(ca, strings.ToLower(strings.ReplaceAll(a.kind.String(), "-", "")), a.kind)
			}
		}
	}
	experts := []expert{
		newOpenSSL(t, ca), newGPGSM(t, ca, []*party{people[testca.RSA2048]}), newNSS(t, ca, nssParties(people)), newBouncyCastle(t),
	}
	var out strings.Builder
	heads := rowHeads(t, experts)
	out.WriteString(preface + heads)
	for _, a := range algorithms() {
		fmt.Fprintf(&out, "| %s |", a.label())
		for _, e := range experts {
			fmt.Fprintf(&out, " %s | %s |", readsOurs(t, e, a, people[a.kind]), writesForUs(t, e, a, people[a.kind]))
		}
		out.WriteString("\n")
	}
	out.WriteString(epilogue)
	t.Log("\n" + out.String())
	if *update {
		put(t, "../../docs", "interop.md", []byte(out.String()))
	}
	old := string(get(t, page))
	if !strings.Contains(old, heads) {
		t.Skip("docs/interop.md is about other versions of these peers")
	}
	if old != out.String() {
		t.Error("docs/interop.md is not what came out; run go test ./test/interop -run TestMatrix -update and look at what changed")
	}
}

func (a algorithm) label() string {
	switch a.form {
	case signedForm:
		return "sign: " + a.name
	case compressedForm, digestedForm, encryptedForm, authenticatedForm:
		return a.name
	}
	return "encrypt: " + a.name
}

func nssParties(people map[testca.Kind]*party) (out []*party) {
	for _, kind := range []testca.Kind{testca.RSA2048, testca.P256, testca.P384, testca.P521} {
		out = append(out, people[kind])
	}
	return out
}

func rowHeads(t testing.TB, experts []expert) string {
	t.Helper()
	heads := "| |"
	for _, e := range experts {
		heads += fmt.Sprintf(" %s reads | writes |", e.title(t))
	}
	return heads + "\n|---|" + strings.Repeat("---|", 2*len(experts)) + "\n"
}

// faults are what peers write and must not be read.
var faults = map[string]string{
	"Bouncy Castle 1.72, RSA PKCS #1 v1.5, chacha20-poly1305": "EnvelopedData, without a tag",
}

// readsOurs is the cell for what we write.
func readsOurs(t testing.TB, e expert, a algorithm, p *party) string {
	m := a.ours(t, p, message)
	got, err := e.read(t, a, p, m)
	if err != nil {
		t.Logf("%s does not read %s: %v", e.title(t), a.label(), err)
		return "no"
	}
	if !bytes.Equal(got, message) {
		t.Logf("%s, %s: content %q", e.title(t), a.label(), got)
		return "**wrong**: other content"
	}
	if changed := a.altered(m); changed != nil {
		if _, err := e.read(t, a, p, changed); err == nil {
			return "**wrong**: takes it changed"
		}
	}
	return "yes"
}

// writesForUs is the cell for what the peer writes. What it writes we must read.
func writesForUs(t testing.TB, e expert, a algorithm, p *party) string {
	m, err := e.write(t, a, p, message)
	if err != nil {
		t.Logf("%s does not write %s: %v", e.title(t), a.label(), err)
		return "no"
	}
	got, err := a.open(m, p)
	if fault, known := faults[e.title(t)+", "+a.name]; known {
		if err == nil {
			t.Errorf("%s, %s: we read what is wrong (%s)", e.title(t), a.label(), fault)
		}
		return "**wrong**: " + fault
	}
	if err != nil || !bytes.Equal(got, message) {
		t.Errorf("%s, %s: we do not read what it writes: %q, %v", e.title(t), a.label(), got, err)
		return "**not read by us**"
	}
	return "yes"
}

// ours writes a message by mailseal.
func (a algorithm) ours(t testing.TB, p *party, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	switch a.form {
	case signedForm:
		s := p.signer()
		s.Digest, s.PSS = a.digest, a.pss
		w, err := cms.Sign(&out, []*cms.Signer{s}, &cms.SignOptions{Time: time.Now()})
		return finish(t, &out, w, err, content)
	case compressedForm:
		w, err := cms.Compress(&out, nil)
		return finish(t, &out, w, err, content)
	case digestedForm:
		w, err := cms.Digest(&out, &cms.DigestOptions{Hash: a.digest})
		return finish(t, &out, w, err, content)
	case encryptedForm:
		w, err := cms.EncryptWithKey(&out, sharedKey, &cms.EncryptOptions{Cipher: a.cipher})
		return finish(t, &out, w, err, content)
	case authenticatedForm:
		w, err := cms.Authenticate(&out, []*cms.Recipient{a.recipient(t, p)}, nil)
		return finish(t, &out, w, err, content)
	}
	w, err := cms.Encrypt(&out, []*cms.Recipient{a.recipient(t, p)}, &cms.EncryptOptions{Cipher: a.cipher, Length: int64(len(content)), HasLength: true})
	return finish(t, &out, w, err, content)
}

func (a algorithm) recipient(t testing.TB, p *party) *cms.Recipient {
	t.Helper()
	var r *cms.Recipient
	var err error
	switch a.form {
	case toPassphrase:
		r, err = cms.NewPasswordRecipient([]byte(secret))
	case toSharedKey:
		r, err = cms.NewKEKRecipient(sharedKey, sharedKeyID)
	default:
		r, err = cms.NewRecipient(p.leaf.Certificate, &cms.RecipientOptions{OAEP: a.digest})
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// altered changes a message where that must be noticed; nil when it need not.
func (a algorithm) altered(m []byte) []byte {
	changed := bytes.Clone(m)
	switch {
	case a.form == signedForm, a.form == digestedForm, a.form == authenticatedForm:
		changed[bytes.Index(m, message[:10])+3] ^= 1
	case a.cipher.Authenticates():
		changed[len(m)-20] ^= 1
	default:
		return nil
	}
	return changed
}

// open reads a message by mailseal, and sees that it is what was asked for.
func (a algorithm) open(m []byte, p *party) ([]byte, error) {
	switch a.form {
	case signedForm:
		return ourVerify(m, nil, p)
	case compressedForm, digestedForm, encryptedForm, authenticatedForm:
		return a.openOther(m, p)
	}
	key := &cms.RecipientKey{Passphrase: []byte(secret)}
	switch a.form {
	case toSharedKey:
		key = &cms.RecipientKey{KEK: sharedKey, KEKID: sharedKeyID}
	case toCertificate:
		key = p.key()
	}
	r, err := cms.NewReader(bytes.NewReader(m), nil)
	if err != nil {
		return nil, err
	}
	e, err := r.EnvelopedData([]*cms.RecipientKey{key})
	if err != nil {
		return nil, err
	}
	if e.Cipher().Algorithm != cms.OID(a.cipher) {
		return nil, fmt.Errorf("the peer wrote %s", e.Cipher().Algorithm.Name())
	}
	return io.ReadAll(e)
}

// openOther reads the content types that are neither signed nor enveloped.
func (a algorithm) openOther(m []byte, p *party) ([]byte, error) {
	r, err := cms.NewReader(bytes.NewReader(m), nil)
	if err != nil {
		return nil, err
	}
	var content io.Reader
	switch a.form {
	case compressedForm:
		content, err = r.CompressedData()
	case digestedForm:
		content, err = r.DigestedData(nil)
	case encryptedForm:
		content, err = r.EncryptedData(sharedKey)
	case authenticatedForm:
		content, err = r.AuthenticatedData([]*cms.RecipientKey{p.key()})
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(content)
}
