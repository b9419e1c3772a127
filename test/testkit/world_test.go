package testkit

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"hash/fnv"
	"runtime"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// kit is the collection while it is made.
type kit struct {
	t     *testing.T
	world *world
	cases []*Case
	names map[string]bool
	pki   map[string][]byte // files of the folder pki
}

// world is the people of the cases and who vouches for them.
type world struct {
	root, issuing *testca.Authority
	// alice is who is imitated, eve the attacker, with a certificate from the same authority as everybody.
	alice, aliceRSA, aliceEd, eve *testca.Leaf
	// bob and carol read; bob has an RSA key for one client and one for key agreement for another.
	bob, bobEC, carol *testca.Leaf
	// impostor says that it is alice, by an authority with the names of ours that nobody trusts.
	impostor *testca.Leaf
}

// makeKit makes every case anew.
func makeKit(t *testing.T) *kit {
	// Whoever seals a key for several recipients at once takes randomness in an order that nobody knows.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	k := &kit{t: t, names: map[string]bool{}, pki: map[string][]byte{}}
	k.seed("the people")
	k.world = newWorld(t)
	k.publish()
	for _, group := range []func(){
		k.honestCases, k.contentCases, k.attributeCases, k.signerCases, k.structureCases, k.johnnyCases, k.mimeCases, k.efailCases,
		k.covertCases, k.envelopeCases, k.oracleCases, k.senderCases, k.certificateNameCases, k.headerCases, k.pathCases, k.bombCases, k.oddCases,
		k.ocspCases, k.passphraseCases,
	} {
		group()
	}
	return k
}

// seed makes all randomness that follows a function of the name.
func (k *kit) seed(name string) {
	h := fnv.New64a()
	h.Write([]byte(name))
	cryptotest.SetGlobalRandom(k.t, h.Sum64())
}

func newWorld(t *testing.T) *world {
	ca := testca.New(t)
	w := &world{root: ca.Root, issuing: ca.Issuing}
	w.alice = ca.Leaf("alice@example.com", testca.P256)
	w.aliceRSA = ca.Leaf("alice@example.com", testca.RSA2048)
	w.aliceEd = ca.Leaf("alice@example.com", testca.Ed25519)
	w.eve = ca.Leaf("eve@example.com", testca.P256)
	w.bob = ca.Leaf("bob@example.org", testca.RSA2048)
	w.bobEC = ca.Leaf("bob@example.org", testca.P256)
	w.carol = ca.Leaf("carol@example.org", testca.RSA2048)
	stranger := testca.NewRoot(t, "Stranger")
	lookalike := testca.Renamed(stranger, pkix.Name{CommonName: "Test Issuing", Organization: []string{"Example"}})
	w.impostor = lookalike.Leaf("alice@example.com", testca.P256)
	w.impostor.Chain = nil
	return w
}

// publish writes down whom to trust, and the keys of everybody, with which others can make cases of their own.
func (k *kit) publish() {
	w := k.world
	k.pki["root"] = w.root.Certificate.PEM()
	k.pki["issuing"] = w.issuing.Certificate.PEM()
	for name, l := range map[string]*testca.Leaf{
		"alice": w.alice, "alice-rsa": w.aliceRSA, "alice-ed25519": w.aliceEd, "eve": w.eve, "bob": w.bob, "bob-ec": w.bobEC,
		"carol": w.carol, "impostor": w.impostor,
	} {
		k.publishKey(name, l)
	}
	for name, key := range map[string]crypto.Signer{"root-key": w.root.Key, "issuing-key": w.issuing.Key} {
		k.pki[name] = k.keyPEM(key)
	}
	k.pki["alice-revoked"] = crlPEM(w.issuing.CRL([]testca.Revoked{{SerialNumber: w.alice.Certificate.Serial, RevocationTime: testca.Now.AddDate(0, 0, -3)}}))
	k.pki["nobody-revoked"] = crlPEM(w.issuing.CRL(nil))
	k.pki["root-nobody-revoked"] = crlPEM(w.root.CRL(nil))
}

func (k *kit) publishKey(name string, l *testca.Leaf) {
	k.pki[name] = append(k.keyPEM(l.Key), l.Certificate.PEM()...)
}

func (k *kit) keyPEM(key crypto.PrivateKey) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	k.check(err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func crlPEM(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}) }

func (k *kit) check(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

// outcome changes a case: what is expected, and what the reader is given.
type outcome func(*Case)

func valid(content string) outcome {
	return func(c *Case) { c.Expect, c.Plaintext = Valid, Sum([]byte(content)) }
}

func decrypted(content string) outcome {
	return func(c *Case) { c.Expect, c.Plaintext = Decrypted, Sum([]byte(content)) }
}

// invalid and refused release nothing.
func invalid(l Layer) outcome { return answer(Invalid, l) }
func refused(l Layer) outcome { return answer(Refused, l) }

func answer(a Answer, l Layer) outcome {
	return func(c *Case) { c.Expect, c.Layer, c.Plaintext = a, l, NoPlaintext }
}

// shown is for what may be shown, under a verdict that says what it is worth.
func shown(a Answer, l Layer, content string) outcome {
	return func(c *Case) { c.Expect, c.Layer, c.Plaintext = a, l, Sum([]byte(content)) }
}

func keys(names ...string) outcome          { return func(c *Case) { c.Keys = names } }
func from(address string) outcome           { return func(c *Case) { c.From = address } }
func twin(name string) outcome              { return func(c *Case) { c.Twin = name } }
func alike(group string) outcome            { return func(c *Case) { c.Alike = group } }
func policy(why string) outcome             { return func(c *Case) { c.Policy = why } }
func at(when time.Time) outcome             { return func(c *Case) { c.At = when } }
func crls(names ...string) outcome          { return func(c *Case) { c.CRLs = names } }
func intermediates(names ...string) outcome { return func(c *Case) { c.Intermediates = names } }
func anchors(names ...string) outcome       { return func(c *Case) { c.Anchors = names } }

// add ends the making of a case and begins that of the next.
func (k *kit) add(f Form, name, comment string, message []byte, outcomes ...outcome) {
	k.t.Helper()
	c := &Case{Name: name, Comment: comment, Form: f, At: testca.Now, Anchors: []string{"root"}, Message: message}
	for _, o := range outcomes {
		o(c)
	}
	if k.names[name] {
		k.t.Fatalf("two cases %s", name)
	}
	k.names[name] = true
	k.cases = append(k.cases, c)
	k.seed(name)
}

func (k *kit) mail(name, comment, message string, outcomes ...outcome) {
	k.t.Helper()
	k.add(Mail, name, comment, []byte(message), outcomes...)
}

// letter is the entity that is signed and encrypted: what may be released.
const letter = "Content-Type: text/plain; charset=us-ascii\r\n\r\nDear Bob,\r\n\r\nplease pay 100 EUR to Carol by noon.\r\n\r\nAlice\r\n"

// evil is what the attacker wants to be believed.
const evil = "Content-Type: text/plain; charset=us-ascii\r\n\r\nDear Bob,\r\n\r\nplease pay 9000 EUR to Eve at once.\r\n\r\nAlice\r\n"

const (
	aliceFrom = "From: Alice <alice@example.com>\r\n"
	eveFrom   = "From: Eve <eve@example.com>\r\n"
)

// envelope is the rest of a mail's header.
const outerFields = "To: Bob <bob@example.org>\r\nSubject: Payment\r\nDate: Mon, 01 Jun 2026 12:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n"

// fromAlice is a mail with that entity.
func fromAlice(entity string) string { return aliceFrom + outerFields + entity }
func fromEve(entity string) string   { return eveFrom + outerFields + entity }

func base64Lines(der []byte) string {
	// PEM has lines of 64, which is as good for mail.
	block := string(pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: der}))
	_, body, _ := strings.Cut(block, "\n")
	body, _, _ = strings.Cut(body, "-----END")
	return strings.ReplaceAll(body, "\n", "\r\n")
}

const p7sFields = "Content-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=smime.p7s\r\n\r\n"

// boundary of the signed parts.
const boundary = "=_signed"

const signedFields = "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n\tmicalg=sha-256; boundary=\"" + boundary + "\"\r\n\r\n"

// multipartSigned puts content and signature side by side (RFC 8551 §3.5.3).
func multipartSigned(content string, p7s []byte) string {
	return signedFields + "--" + boundary + "\r\n" + content + "\r\n--" + boundary + "\r\n" + p7sFields + base64Lines(p7s) + "\r\n--" + boundary + "--\r\n"
}

// pkcs7 is an application/pkcs7-mime entity.
func pkcs7(smimeType string, der []byte) string {
	return "Content-Type: application/pkcs7-mime; smime-type=" + smimeType + "; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n" +
		"Content-Disposition: attachment; filename=smime.p7m\r\n\r\n" + base64Lines(der)
}

// multipart is any other multipart.
func multipart(subtype string, parts ...string) string {
	return "Content-Type: multipart/" + subtype + "; boundary=\"=_outer\"\r\n\r\n--=_outer\r\n" + strings.Join(parts, "\r\n--=_outer\r\n") + "\r\n--=_outer--\r\n"
}

func signerOf(l *testca.Leaf) *cms.Signer {
	return &cms.Signer{Key: l.Signer(), Certificate: l.Certificate, Chain: l.Chain}
}

// sign makes a SignedData with its content inside.
func (k *kit) sign(content string, signers ...*testca.Leaf) []byte {
	return k.signWith(content, &cms.SignOptions{Time: testca.Now}, signers...)
}

// signDetached makes one without.
func (k *kit) signDetached(content string, signers ...*testca.Leaf) []byte {
	return k.signWith(content, &cms.SignOptions{Time: testca.Now, Detached: true}, signers...)
}

func (k *kit) signWith(content string, o *cms.SignOptions, leaves ...*testca.Leaf) []byte {
	k.t.Helper()
	var signers []*cms.Signer
	for _, l := range leaves {
		signers = append(signers, signerOf(l))
	}
	var b bytes.Buffer
	w, err := cms.Sign(&b, signers, o)
	k.check(err)
	_, err = w.Write([]byte(content))
	k.check(err)
	k.check(w.Close())
	return b.Bytes()
}

// encrypt makes an EnvelopedData or AuthEnvelopedData.
func (k *kit) encrypt(content string, o *cms.EncryptOptions, leaves ...*testca.Leaf) []byte {
	k.t.Helper()
	var to []*cms.Recipient
	for _, l := range leaves {
		r, err := cms.NewRecipient(l.Certificate, nil)
		k.check(err)
		to = append(to, r)
	}
	options := cms.EncryptOptions{Length: int64(len(content)), HasLength: true}
	if o != nil {
		options.Cipher, options.DeriveKey = o.Cipher, o.DeriveKey
	}
	var b bytes.Buffer
	w, err := cms.Encrypt(&b, to, &options)
	k.check(err)
	_, err = w.Write([]byte(content))
	k.check(err)
	k.check(w.Close())
	return b.Bytes()
}

// signerInfo signs whatever attributes are given, with a P-256 or RSA key and SHA-256; without any, the content itself.
func (k *kit) signerInfo(l *testca.Leaf, content string, attrs ...*node) *node {
	k.t.Helper()
	signed := []byte(content)
	info := seq(integer(1), seq(raw(l.Certificate.RawIssuer), bigInteger(l.Certificate.Serial)), algorithm(oid.SHA256))
	if len(attrs) > 0 {
		list := set(attrs...).sorted()
		signed = list.der()
		info.kids = append(info.kids, tagged(0, list.kids...))
	}
	digest := sha256.Sum256(signed)
	sig, err := l.Signer().Sign(nil, digest[:], crypto.SHA256) // deterministic: no randomness
	k.check(err)
	scheme := algorithm(oid.ECDSAWithSHA256)
	if _, ok := l.Key.(*rsa.PrivateKey); ok {
		scheme = algorithm(oid.SHA256WithRSA, null())
	}
	info.kids = append(info.kids, scheme, octets(sig))
	return info
}

// usualAttributes are those without which a signature is none.
func usualAttributes(contentType oid.OID, content string) []*node {
	digest := sha256.Sum256([]byte(content))
	return []*node{attribute(oid.AttrContentType, identifier(contentType)), attribute(oid.AttrMessageDigest, octets(digest[:]))}
}

// assemble makes a SignedData of infos; content nil leaves it out.
func assemble(contentType oid.OID, content *node, certs []*cert.Certificate, infos ...*node) []byte {
	encap := seq(identifier(contentType))
	if content != nil {
		encap.kids = append(encap.kids, tagged(0, content))
	}
	var all []*node
	for _, c := range certs {
		all = append(all, raw(c.Raw))
	}
	body := seq(integer(1), set(algorithm(oid.SHA256)), encap)
	if all != nil {
		body.kids = append(body.kids, tagged(0, all...))
	}
	body.kids = append(body.kids, set(infos...))
	return contentInfo(oid.SignedData, body).der()
}

// certificatesOf is what a signature of l carries.
func certificatesOf(l *testca.Leaf) []*cert.Certificate {
	return append([]*cert.Certificate{l.Certificate}, l.Chain...)
}

// signed adds the same SignedData as opaque mail and as raw CMS.
func (k *kit) signed(name, comment string, der []byte, outcomes ...outcome) {
	k.t.Helper()
	k.mail(name, comment, fromAlice(pkcs7("signed-data", der)), outcomes...)
	k.add(Raw, name+".cms", comment, der, outcomes...)
}

// operate changes a copy of a SignedData.
func operate(der []byte, f func(signedData)) []byte {
	s := signedTree(der)
	f(s)
	return s.der()
}
