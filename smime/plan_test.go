package smime

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

func profile(t testing.TB, name string) *Profile {
	t.Helper()
	p, err := ParseProfile(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ask is the policy of a test: certificates are judged unless a candidate is trusted.
func (w *world) policy(name string) *Policy {
	return &Policy{Profile: profile(w.t, name), At: testca.Now, Anchors: []*cert.Certificate{w.ca.Root.Certificate}, Intermediates: []*cert.Certificate{w.ca.Issuing.Certificate}}
}

func saying(algorithms ...oid.OID) []cms.Capability {
	var out []cms.Capability
	for _, a := range algorithms {
		out = append(out, cms.Capability{Algorithm: a})
	}
	return out
}

func addressee(name string, said []cms.Capability, leaves ...*testca.Leaf) Addressee {
	a := Addressee{Name: name, Address: name}
	for _, l := range leaves {
		a.Candidates = append(a.Candidates, Candidate{Certificate: l.Certificate, Capabilities: said})
	}
	return a
}

func capabilityExtension(t testing.TB, list []cms.Capability) testca.Option {
	t.Helper()
	der, err := cert.EncodeCapabilities(list)
	if err != nil {
		t.Fatal(err)
	}
	return testca.Extension(oid.ExtSMIMECapabilities, false, der)
}

// TestPlanCipher: the strongest cipher that all of a group can read, as they or their certificates say, and what the profile presumes
// of those of whom nothing is known.
func TestPlanCipher(t *testing.T) {
	w := newWorld(t)
	p256 := w.ca.Leaf("a@example.com", testca.P256)
	kem := w.ca.Leaf("k@example.com", testca.MLKEM768)
	inCertificate := w.ca.Leaf("c@example.com", testca.P256, capabilityExtension(t, saying(oid.AES256GCM)))
	gcm, cbc128, old := saying(oid.AES256GCM, oid.AES128GCM), saying(oid.AES128CBC, oid.DES3CBC, oid.RC2CBC), saying(oid.DES3CBC)
	signatures := saying(oid.SHA256WithRSA)
	one := func(said []cms.Capability) []Addressee { return []Addressee{addressee("a@example.com", said, p256)} }
	for _, c := range []struct {
		name, profile string
		to            []Addressee
		want          cms.Cipher // "" if somebody is missing
	}{
		{"nothing known", "compat", one(nil), cms.AES256CBC},
		{"nothing known", "modern", one(nil), cms.AES256GCM},
		{"nothing known", "pq", one(nil), cms.AES256CBC},
		{"says GCM", "compat", one(gcm), cms.AES256GCM},
		{"says AES-128 only", "compat", one(cbc128), cms.AES128CBC},
		{"says AES-128 only", "modern", one(cbc128), cms.AES128CBC},
		{"says Triple-DES only", "compat", one(old), ""},
		{"names no cipher", "compat", one(signatures), cms.AES256CBC},
		{"certificate says GCM", "compat", []Addressee{addressee("c@example.com", nil, inCertificate)}, cms.AES256GCM},
		{"the signature counts more", "compat", []Addressee{addressee("c@example.com", cbc128, inCertificate)}, cms.AES128CBC},
		{"GCM and unknown", "compat", append(one(gcm), addressee("a@example.com", nil, p256)), cms.AES128CBC},
		{"AES-256 and unknown", "compat", append(one(saying(oid.AES256CBC)), addressee("a@example.com", nil, p256)), cms.AES256CBC},
		{"GCM and AES-128", "compat", append(one(gcm), addressee("a@example.com", cbc128, p256)), cms.AES128CBC},
		{"GCM and unknown", "modern", append(one(gcm), addressee("a@example.com", nil, p256)), cms.AES256GCM},
		{"nothing in common", "compat", append(one(saying(oid.AES256CBC)), addressee("a@example.com", cbc128, p256)), ""},
		{"holder of ML-KEM", "pq", []Addressee{addressee("k@example.com", nil, kem)}, cms.AES256GCM},
		{"ChaCha", "modern", one(saying(oid.ChaCha20Poly1305, oid.AES256CBC)), cms.ChaCha20Poly1305},
		{"AES-128-GCM or AES-256-CBC", "modern", one(saying(oid.AES128GCM, oid.AES256CBC)), cms.AES128GCM},
		{"AES-128-GCM or AES-256-CBC", "pq", one(saying(oid.AES128GCM, oid.AES256CBC)), cms.AES256CBC},
	} {
		plan := PlanFor(c.to, w.policy(c.profile))
		if plan.Complete != (c.want != "") || c.want != "" && plan.Messages[0].cipher != c.want {
			t.Errorf("%s, %s: %+v", c.profile, c.name, plan)
		}
	}
}

// TestPlanKeyAlgorithm: OAEP, ECDH and ML-KEM only for who says so, or has no other key.
func TestPlanKeyAlgorithm(t *testing.T) {
	w := newWorld(t)
	rsa := w.ca.Leaf("r@example.com", testca.RSA2048)
	elliptic, x25519, kem := w.ca.Leaf("r@example.com", testca.P256), w.ca.Leaf("r@example.com", testca.X25519), w.ca.Leaf("r@example.com", testca.MLKEM768)
	oaep := func(params []byte) []cms.Capability {
		return []cms.Capability{{Algorithm: oid.AES256CBC}, {Algorithm: oid.RSAESOAEP, Parameters: params}}
	}
	correct := profile(t, "bdew").Capabilities()
	// The octets of RFC 3560 §4, which leave the tags out.
	printed := []byte("\x30\x2b\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00")
	for _, c := range []struct {
		name, profile string
		said          []cms.Capability
		leaves        []*testca.Leaf
		want          string // "" for nobody
	}{
		{"RSA", "compat", nil, []*testca.Leaf{rsa}, "RSA PKCS #1 v1.5"},
		{"RSA", "modern", nil, []*testca.Leaf{rsa}, "RSA PKCS #1 v1.5"},
		{"RSA", "bdew", nil, []*testca.Leaf{rsa}, "RSAES-OAEP SHA-256"},
		{"RSA, says OAEP", "compat", correct, []*testca.Leaf{rsa}, "RSAES-OAEP SHA-256"},
		{"RSA, says OAEP as printed", "compat", oaep(printed), []*testca.Leaf{rsa}, "RSAES-OAEP SHA-256"},
		{"RSA, says OAEP with SHA-1", "compat", oaep([]byte{0x30, 0}), []*testca.Leaf{rsa}, "RSA PKCS #1 v1.5"},
		{"P-256", "compat", nil, []*testca.Leaf{elliptic}, "ECDH P-256"},
		{"P-256", "bdew", nil, []*testca.Leaf{elliptic}, ""},
		{"X25519", "compat", nil, []*testca.Leaf{x25519}, "ECDH X25519"},
		{"ML-KEM alone", "compat", nil, []*testca.Leaf{kem}, "ML-KEM-768"},
		{"ML-KEM and RSA", "compat", nil, []*testca.Leaf{kem, rsa}, "RSA PKCS #1 v1.5"},
		{"ML-KEM and RSA, says ML-KEM", "compat", saying(oid.MLKEM768, oid.AES256CBC), []*testca.Leaf{rsa, kem}, "ML-KEM-768"},
		{"ML-KEM and RSA", "pq", nil, []*testca.Leaf{rsa, kem}, "ML-KEM-768"},
		{"RSA", "pq", nil, []*testca.Leaf{rsa}, "RSA PKCS #1 v1.5"},
		{"nothing is written", "legacy-decrypt", nil, []*testca.Leaf{rsa}, ""},
	} {
		e := PlanFor([]Addressee{addressee("r@example.com", c.said, c.leaves...)}, w.policy(c.profile)).Messages[0].Entries[0]
		if e.Missing != (c.want == "") || c.want != "" && e.KeyAlgorithm != c.want {
			t.Errorf("%s, %s: %+v", c.profile, c.name, e)
		}
	}
}

// TestPlanJudges: each fault of a certificate has its name, and none hides a good certificate.
func TestPlanJudges(t *testing.T) {
	w := newWorld(t)
	const who = "bob@example.org"
	stranger := testca.NewRoot(t, "Stranger").Authority("Stranger Issuing")
	malformed := w.ca.Leaf(who, testca.P256, testca.Extension(oid.ExtBasicConstraints, true, []byte{5, 0}))
	good := w.ca.Leaf(who, testca.P256)
	for _, c := range []struct {
		name string
		leaf *testca.Leaf
		want PlanReason
		says string
	}{
		{"expired", w.ca.Leaf(who, testca.P256, testca.Expired()), PlanExpired, "expired on 2026-05-31"},
		{"not begun", w.ca.Leaf(who, testca.P256, testca.NotYetValid()), PlanNotYetValid, "begins on 2026-06-02"},
		{"for signatures", w.ca.Leaf(who, testca.RSA2048, testca.KeyUsage(x509.KeyUsageDigitalSignature)), PlanKeyUsage, "digitalSignature"},
		{"signature key", w.ca.Leaf(who, testca.Ed25519), PlanKeyUsage, "signatures only"},
		{"for servers", w.ca.Leaf(who, testca.P256, testca.ExtKeyUsage(x509.ExtKeyUsageServerAuth)), PlanPurpose, "not for mail"},
		{"short key", w.ca.Leaf(who, testca.RSA1024), PlanWeak, "1024 bits"},
		{"SHA-1", w.ca.Leaf(who, testca.P256, testca.SHA1(w.ca.Issuing)), PlanWeak, "weak"},
		{"of a stranger", stranger.Leaf(who, testca.P256), PlanUntrusted, "not trusted"},
		{"of another", w.ca.Leaf("mallory@example.org", testca.P256), PlanAddressMismatch, "does not name"},
		{"malformed", malformed, PlanMalformed, "malformed"},
		{"an authority", &testca.Leaf{Certificate: w.ca.Issuing.Certificate}, PlanKeyUsage, "an authority's"},
	} {
		plan := PlanFor([]Addressee{addressee(who, nil, c.leaf), addressee(who, nil, good)}, w.policy("compat"))
		e := plan.Messages[0].Entries[0]
		if plan.Complete || !e.Missing || len(e.Reasons) != 1 || e.Reasons[0] != c.want || !strings.Contains(e.Why, c.says) {
			t.Errorf("%s: %+v", c.name, e)
		}
		var missing *MissingError
		if _, err := plan.Options(); !errors.As(err, &missing) || !strings.Contains(err.Error(), who) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, order := range [][]*testca.Leaf{{c.leaf, good}, {good, c.leaf}} {
			e := PlanFor([]Addressee{addressee(who, nil, order...)}, w.policy("compat")).Messages[0].Entries[0]
			if e.Missing || !e.Certificate.Equal(good.Certificate) || len(e.Reasons) != 1 {
				t.Errorf("%s hides a good certificate: %+v", c.name, e)
			}
		}
	}
	renewed := w.ca.Leaf(who, testca.P256, testca.Validity(testca.Now.AddDate(0, 0, -1), testca.Now.AddDate(2, 0, 0)))
	if e := PlanFor([]Addressee{addressee(who, nil, good, renewed)}, w.policy("compat")).Messages[0].Entries[0]; !e.Certificate.Equal(renewed.Certificate) {
		t.Errorf("not the renewed one: %+v", e)
	}
	unknown := Addressee{Name: "carol@example.org", Hint: "ask her"}
	if e := PlanFor([]Addressee{unknown}, w.policy("compat")).Messages[0].Entries[0]; !e.Missing || e.Reasons[0] != PlanUnknown || e.Why != "no certificate is known; ask her" {
		t.Errorf("%+v", e)
	}
}

// TestPlanTrust: trust is asked for unless a certificate was given by hand or came with an anchor of its own.
func TestPlanTrust(t *testing.T) {
	w := newWorld(t)
	root := testca.NewRoot(t, "Other")
	leaf := root.Leaf("bob@example.org", testca.P256)
	for name, c := range map[string]Candidate{
		"by hand":        {Certificate: leaf.Certificate, Trusted: true},
		"its own anchor": {Certificate: leaf.Certificate, Anchors: []*cert.Certificate{root.Certificate}},
		"neither":        {Certificate: leaf.Certificate},
	} {
		plan := PlanFor([]Addressee{{Name: "bob", Candidates: []Candidate{c}}}, w.policy("compat"))
		if plan.Complete != (name != "neither") {
			t.Errorf("%s: %+v", name, plan)
		}
	}
}

// TestPlanRevocation: where lists are given, one of them has to say that a certificate stands.
func TestPlanRevocation(t *testing.T) {
	w := newWorld(t)
	bob := w.ca.Leaf("bob@example.org", testca.P256)
	revoked := w.ca.Issuing.CRL([]testca.Revoked{{SerialNumber: bob.Certificate.Serial, RevocationTime: testca.Now.AddDate(0, 0, -1)}})
	for _, c := range []struct {
		lists [][]byte
		want  bool
	}{{nil, true}, {[][]byte{w.ca.Issuing.CRL(nil), w.ca.Root.CRL(nil)}, true}, {[][]byte{revoked, w.ca.Root.CRL(nil)}, false}, {[][]byte{w.ca.Root.CRL(nil)}, false}} {
		o := w.policy("compat")
		o.CRLs = crls(t, c.lists...)
		plan := PlanFor([]Addressee{addressee("bob@example.org", nil, bob)}, o)
		if e := plan.Messages[0].Entries[0]; plan.Complete != c.want || !c.want && e.Reasons[0] != PlanRevoked {
			t.Errorf("%+v", e)
		}
	}
}

// TestPlanAsksSources: the sources that a certificate from the address book names are asked once its path has ended at an anchor, and
// must answer; one that was given by hand is nobody's business.
func TestPlanAsksSources(t *testing.T) {
	w := newWorld(t)
	point := testca.Points(testca.Point{URIs: []string{"http://lists.example.com/a.crl"}})
	bob, silent := w.ca.Leaf("bob@example.org", testca.P256, point), w.ca.Leaf("bob@example.org", testca.P256)
	stranger := testca.NewRoot(t, "Other").Leaf("bob@example.org", testca.P256, point)
	good := crls(t, w.ca.Issuing.CRL(nil))
	revoked := crls(t, w.ca.Issuing.CRL([]testca.Revoked{{SerialNumber: bob.Certificate.Serial, RevocationTime: testca.Now.AddDate(0, 0, -1)}}))
	for name, c := range map[string]struct {
		who     *testca.Leaf
		source  source
		trusted bool
		want    PlanReason
		why     string
		asked   int
	}{
		"good":          {bob, source{lists: good}, false, "", "", 1},
		"revoked":       {bob, source{lists: revoked}, false, PlanRevoked, "is revoked", 1},
		"no answer":     {bob, source{}, false, PlanRevoked, "no route to host", 1},
		"no source":     {silent, source{lists: revoked}, false, "", "", 0},
		"not trusted":   {stranger, source{lists: good}, false, PlanUntrusted, "", 0},
		"given by hand": {bob, source{lists: revoked}, true, "", "", 0},
	} {
		o := w.policy("compat")
		o.Revocation = &c.source
		a := addressee("bob@example.org", nil, c.who)
		a.Candidates[0].Trusted = c.trusted
		plan := PlanFor([]Addressee{a}, o)
		e := plan.Messages[0].Entries[0]
		if plan.Complete != (c.want == "") || c.want != "" && e.Reasons[0] != c.want || !strings.Contains(e.Why, c.why) || c.source.asked != c.asked {
			t.Errorf("%s: %+v, asked %d times", name, e, c.source.asked)
		}
	}
}

// TestPlanMessages: the sender has an entry in each message, once; a hidden recipient gets a message of their own, of which the others
// know nothing.
func TestPlanMessages(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol, dave := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.com", testca.RSA2048), w.ca.Leaf("carol@example.com", testca.P256), w.ca.Leaf("dave@example.com", testca.P256)
	to := []Addressee{
		addressee("bob@example.com", nil, bob), addressee("carol@example.com", saying(oid.AES256GCM), carol), addressee("dave@example.com", nil, dave),
		addressee("alice@example.com", saying(oid.AES128CBC), alice),
	}
	to[1].Hidden, to[2].Hidden, to[3].Sender = true, true, true
	plan := PlanFor(to, w.policy("compat"))
	options, err := plan.Options()
	if err != nil || len(options) != 3 {
		t.Fatalf("%v, %+v", err, plan)
	}
	for i, want := range []struct {
		who    *testca.Leaf
		cipher cms.Cipher
	}{{bob, cms.AES256CBC}, {carol, cms.AES256GCM}, {dave, cms.AES256CBC}} {
		if o := options[i]; len(o.Recipients) != 2 || !o.Recipients[0].Certificate().Equal(want.who.Certificate) ||
			!o.Recipients[1].Certificate().Equal(alice.Certificate) || o.Cipher != want.cipher {
			t.Errorf("message %d: %+v", i+1, o)
		}
	}
	to[0].Candidates = nil
	if _, err := PlanFor(to, w.policy("compat")).Options(); err == nil || !strings.Contains(err.Error(), "bob@example.com") {
		t.Errorf("not all or nothing: %v", err)
	}
	// To oneself: one entry.
	self := []Addressee{addressee("alice@example.com", nil, alice), to[3]}
	if o, err := PlanFor(self, w.policy("compat")).Options(); err != nil || len(o) != 1 || len(o[0].Recipients) != 1 {
		t.Errorf("%v, %+v", err, o)
	}
	// A sender without a key is no reason to refuse, and is said.
	signs := addressee("alice@example.com", nil, w.ca.Leaf("alice@example.com", testca.Ed25519))
	signs.Sender = true
	plan = PlanFor([]Addressee{addressee("bob@example.com", nil, bob), signs}, w.policy("compat"))
	if o, err := plan.Options(); err != nil || len(o[0].Recipients) != 1 || !plan.Messages[0].Entries[1].Missing {
		t.Errorf("%v, %+v", err, plan)
	}
	if _, err := json.Marshal(plan); err != nil {
		t.Error(err)
	}
}

// TestPlanAskedCipher: a cipher that was asked for by name is taken where the profile writes it, with a warning about who does not
// claim to read it.
func TestPlanAskedCipher(t *testing.T) {
	w := newWorld(t)
	bob := addressee("bob@example.com", saying(oid.AES128CBC), w.ca.Leaf("bob@example.com", testca.RSA2048))
	for name, want := range map[string]bool{"compat": true, "modern": true, "pq": true, "bdew": false, "legacy-decrypt": false} {
		o := w.policy(name)
		o.Cipher = cms.ChaCha20Poly1305
		plan := PlanFor([]Addressee{bob}, o)
		if _, err := plan.Options(); (err == nil) != want || plan.Complete != want {
			t.Errorf("%s: %v", name, err)
		}
		if e := plan.Messages[0].Entries[0]; want && (plan.Messages[0].cipher != cms.ChaCha20Poly1305 || !strings.Contains(e.Warning, "aes-128-cbc")) && name != "pq" {
			t.Errorf("%s: %+v", name, plan)
		}
	}
}

// TestPlanDeriveKey: RFC 9709 only where all say so.
func TestPlanDeriveKey(t *testing.T) {
	w := newWorld(t)
	bob, carol := w.ca.Leaf("bob@example.com", testca.P256), w.ca.Leaf("carol@example.com", testca.P256)
	derives := saying(oid.AES256GCM, oid.CEKHKDFSHA256)
	for _, c := range []struct {
		said []cms.Capability
		want bool
	}{{derives, true}, {nil, false}} {
		plan := PlanFor([]Addressee{addressee("bob@example.com", derives, bob), addressee("carol@example.com", c.said, carol)}, w.policy("compat"))
		o, err := plan.Options()
		if err != nil || o[0].DeriveKey != c.want {
			t.Errorf("%v, %+v", err, plan)
		}
		var b bytes.Buffer
		if err := Encrypt(&b, strings.NewReader(plain), int64(len(plain)), o[0]); err != nil {
			t.Fatal(err)
		}
		wantVerdict(t, open(t, b.String(), w.options(carol)), Unsigned, CoverageNone)
		if reads := recipientsOf(t, b.String()); (reads.cipher == oid.CEKHKDFSHA256) != c.want {
			t.Errorf("written with %s", reads.cipher.Name())
		}
	}
}

// envelope is what a ciphertext shows to everybody.
type envelope struct {
	cipher oid.OID
	kinds  []string
}

func recipientsOf(t testing.TB, message string) envelope {
	t.Helper()
	r, err := cms.NewReader(bytes.NewReader(cmsOf(t, message)), nil)
	if err != nil {
		t.Fatal(err)
	}
	er, err := r.EnvelopedData(nil)
	if !errors.Is(err, cms.ErrNoRecipient) {
		t.Fatal(err)
	}
	e := envelope{cipher: er.Cipher().Algorithm}
	for _, ri := range er.Recipients() {
		e.kinds = append(e.kinds, ri.Kind+" "+ri.Algorithm.Algorithm.Name())
	}
	slices.Sort(e.kinds)
	return e
}
