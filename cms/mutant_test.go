package cms

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// mutantsVariable sets how many mutants TestMutants makes; `make mutants` does.
const (
	mutantsVariable = "MAILSEAL_MUTANTS"
	shortMutants    = 20_000
	// slowest is how long one mutant may take: it must not hang a reader.
	slowest = 2 * time.Second
)

// TestMutants drops, empties, doubles, retags, relengths and reorders the
// nodes of good messages. First every node of every message is changed in
// every way, or a sample of these; what is left of the number are mutants of
// two and three changes. None may make a reader panic or hang; a signature may
// be valid only with the original's content, signer and signed attributes; and
// nothing of an authenticated message may decrypt to other plaintext.
func TestMutants(t *testing.T) {
	longTest(t)
	total := shortMutants
	if v := os.Getenv(mutantsVariable); v != "" {
		var err error
		if total, err = strconv.Atoi(v); err != nil {
			t.Fatalf("%s: %v", mutantsVariable, err)
		}
	}
	good := originals(t)
	if len(good) < 30 {
		t.Fatalf("%d messages, 30 are wanted", len(good))
	}
	var tally tally
	for i, o := range good {
		o.mutate(t, total/len(good), uint64(i), &tally)
	}
	t.Logf("%d mutants of %d messages: %d still valid, %d refused; the slowest took %v", tally.made, len(good), tally.valid, tally.made-tally.valid, tally.slowest)
	if tally.made < total*9/10 || tally.valid == 0 || tally.valid == tally.made {
		t.Errorf("%d mutants of %d wanted, %d valid", tally.made, total, tally.valid)
	}
}

type tally struct {
	sync.Mutex
	made, valid int
	slowest     time.Duration
}

// original is a good message and what a reader of it must find.
type original struct {
	name    string
	message []byte
	// accepted reads a message and returns what it proves, each fact with all
	// that must not change. A mutant may prove less, and nothing else.
	accepted func(message []byte) (facts []string, err error)
	// free: nothing protects the content, so other content is no failure.
	free bool
}

func (o *original) mutate(t *testing.T, n int, seed uint64, sum *tally) {
	t.Helper()
	want, err := o.accepted(o.message)
	if err != nil {
		t.Fatalf("%s: the original is refused: %v", o.name, err)
	}
	tree, err := parseNode(o.message)
	if err != nil || !bytes.Equal(tree.encode(nil), o.message) {
		t.Fatalf("%s: not in DER (%v)", o.name, err)
	}
	work := make(chan []byte)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for m := range work {
				o.try(t, m, want, sum)
			}
		})
	}
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	places := tree.places()
	r.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
	for i := range n {
		if i < len(places) {
			work <- tree.mutant(places[i])
			continue
		}
		work <- several(r, o.message)
	}
	close(work)
	workers.Wait()
}

func (o *original) try(t *testing.T, mutant []byte, want []string, sum *tally) {
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s: panic: %v\n%x", o.name, p, mutant)
		}
	}()
	var got []string
	var err error
	took := time.Duration(math.MaxInt64)
	for range 3 { // a busy machine gets more than one chance
		start := time.Now()
		got, err = o.accepted(mutant)
		if took = min(took, time.Since(start)); took <= slowest {
			break
		}
	}
	sum.Lock()
	defer sum.Unlock()
	sum.made++
	sum.slowest = max(sum.slowest, took)
	if took > slowest {
		t.Errorf("%s: %v for\n%x", o.name, took, mutant)
	}
	if err != nil {
		return
	}
	sum.valid++
	if !o.free && slices.ContainsFunc(got, func(fact string) bool { return !slices.Contains(want, fact) }) {
		t.Errorf("%s: accepted with other content, signer or attributes\n%x", o.name, mutant)
	}
}

// several makes a mutant of two or three changes, each of what the one before
// has left; where that is no tree, only so many.
func several(r *rand.Rand, message []byte) []byte {
	for range 2 + r.IntN(2) {
		tree, err := parseNode(message)
		if err != nil {
			return message
		}
		places := tree.places()
		message = tree.mutant(places[r.IntN(len(places))])
	}
	return message
}

// node is one element of a DER tree. Primitive ones have content alone; so
// have octet strings, whose content is not looked into.
type node struct {
	header   ber.Header
	content  []byte
	children []*node
}

// errNoTree: what is to be changed again is not in definite lengths any more.
var errNoTree = errors.New("no tree of definite lengths")

// parseNode reads one element. It is a parser of its own, since what it helps
// to test is the other one.
func parseNode(b []byte) (*node, error) {
	n, rest, err := parsePrefix(b)
	if err == nil && len(rest) > 0 {
		err = errNoTree
	}
	return n, err
}

func parsePrefix(b []byte) (n *node, rest []byte, err error) {
	if len(b) < 2 || b[0]&0x1f == 0x1f {
		return nil, nil, errNoTree
	}
	n = &node{header: ber.Header{Class: ber.Class(b[0] >> 6), Constructed: b[0]&0x20 != 0, Number: int(b[0] & 0x1f)}}
	length, at := int(b[1]), 2
	if length >= 0x80 {
		size := length & 0x7f
		if size == 0 || size > 3 || len(b) < 2+size {
			return nil, nil, errNoTree
		}
		length, at = 0, 2+size
		for _, c := range b[2:at] {
			length = length<<8 | int(c)
		}
	}
	if length > len(b)-at {
		return nil, nil, errNoTree
	}
	content := b[at : at+length : at+length]
	if !n.header.Constructed {
		n.content = content
		return n, b[at+length:], nil
	}
	for len(content) > 0 {
		var child *node
		if child, content, err = parsePrefix(content); err != nil {
			return nil, nil, err
		}
		n.children = append(n.children, child)
	}
	return n, b[at+length:], nil
}

// encode writes the tree with right lengths; change, where there is one, says
// how a node is written instead.
func (n *node) encode(change func(n *node, plain []byte) []byte) []byte {
	content := n.content
	for _, c := range n.children {
		content = append(content, c.encode(change)...)
	}
	length := int64(len(content))
	out := append(ber.AppendHeader(nil, n.header.Class, n.header.Constructed, n.header.Number, length), content...)
	if change != nil {
		return change(n, out)
	}
	return out
}

// all returns the node and all below it.
func (n *node) all() []*node {
	out := []*node{n}
	for _, c := range n.children {
		out = append(out, c.all()...)
	}
	return out
}

// place is one change to one node: one of changes, or, beyond these, the
// exchange of two neighbours among its children.
type place struct {
	at     *node
	change int
}

// places are all changes of one node each.
func (n *node) places() (out []place) {
	for _, at := range n.all() {
		for i := range len(changes) + max(0, len(at.children)-1) {
			out = append(out, place{at, i})
		}
	}
	return out
}

// mutant encodes the tree with a change.
func (n *node) mutant(p place) []byte {
	if i := p.change - len(changes); i >= 0 {
		c := p.at.children
		c[i], c[i+1] = c[i+1], c[i]
		defer func() { c[i], c[i+1] = c[i+1], c[i] }()
		return n.encode(nil)
	}
	return n.encode(func(n *node, plain []byte) []byte {
		if n == p.at {
			return changes[p.change](n, bytes.Clone(plain))
		}
		return plain
	})
}

// changes are what can happen to one node; plain is its encoding. Lengths of
// the nodes around it are right again afterwards, except where a length itself
// is the change.
var changes = []func(n *node, plain []byte) []byte{
	func(*node, []byte) []byte { return nil }, // drop
	func(n *node, _ []byte) []byte { // empty
		return ber.AppendHeader(nil, n.header.Class, n.header.Constructed, n.header.Number, 0)
	},
	func(_ *node, plain []byte) []byte { return append(plain, plain...) }, // double
	retag(ber.Universal, ber.TagSequence), retag(ber.Universal, ber.TagSet), retag(ber.Universal, ber.TagOctetString),
	retag(ber.Universal, ber.TagInteger), retag(ber.Universal, ber.TagOID), retag(ber.Universal, 5),
	retag(ber.ContextSpecific, 0), retag(ber.ContextSpecific, 1), retag(ber.ContextSpecific, 2), retag(ber.ContextSpecific, 3), retag(ber.ContextSpecific, 4),
	func(_ *node, plain []byte) []byte { plain[0] ^= 0x20; return plain }, // primitive for constructed
	relength(func(l int64) int64 { return l + 1 }), relength(func(l int64) int64 { return max(0, l-1) }),
	relength(func(int64) int64 { return 0x7fffffff }), relength(func(int64) int64 { return 1<<63 - 1 }),
	func(n *node, plain []byte) []byte { // indefinite
		h := len(ber.AppendHeader(nil, n.header.Class, n.header.Constructed, n.header.Number, int64(n.length())))
		out := ber.AppendHeader(nil, n.header.Class, n.header.Constructed, n.header.Number, ber.Indefinite)
		return append(append(out, plain[h:]...), 0, 0)
	},
	func(n *node, plain []byte) []byte { // a longer form of the length
		h := len(ber.AppendHeader(nil, n.header.Class, n.header.Constructed, n.header.Number, int64(n.length())))
		l := n.length()
		return append(append(slices.Clone(plain[:1]), 0x84, byte(l>>24), byte(l>>16), byte(l>>8), byte(l)), plain[h:]...)
	},
	func(n *node, plain []byte) []byte { // an octet more inside
		return append(ber.AppendHeader(nil, n.header.Class, n.header.Constructed, n.header.Number, int64(n.length()+2)), append(plain[len(plain)-n.length():], 5, 0)...)
	},
	func(_ *node, plain []byte) []byte { plain[len(plain)-1] ^= 1; return plain }, // the last octet
	func(n *node, plain []byte) []byte { plain[len(plain)-n.length()/2-1] ^= 0x80; return plain },
	func(_ *node, plain []byte) []byte { // around itself
		return append(ber.AppendHeader(nil, ber.Universal, true, ber.TagSequence, int64(len(plain))), plain...)
	},
}

func (n *node) length() int {
	l := len(n.content)
	for _, c := range n.children {
		l += len(c.encode(nil))
	}
	return l
}

func retag(class ber.Class, number int) func(*node, []byte) []byte {
	return func(n *node, plain []byte) []byte {
		body := plain[len(plain)-n.length():]
		return append(ber.AppendHeader(nil, class, n.header.Constructed, number, int64(len(body))), body...)
	}
}

func relength(f func(int64) int64) func(*node, []byte) []byte {
	return func(n *node, plain []byte) []byte {
		l := n.length()
		return append(ber.AppendHeader(nil, n.header.Class, n.header.Constructed, n.header.Number, f(int64(l))), plain[len(plain)-l:]...)
	}
}

var mutantContent = []byte("Pay 10 to Bob, and be quick about it.")

// originals are good messages of every type, and of every algorithm in it.
func originals(t testing.TB) (out []*original) {
	ca := testca.New(t)
	out = append(out, signedOriginals(t, ca)...)
	out = append(out, envelopedOriginals(t, ca)...)
	for name, f := range forms(t) {
		out = append(out, &original{name: name, message: f.message(t, mutantContent, false), free: !f.integrity, accepted: func(m []byte) ([]string, error) {
			got, err := f.content(m)
			return []string{string(got)}, err
		}})
	}
	out = append(out, &original{name: "compressed", message: compressed(t, mutantContent, nil), free: true, accepted: func(m []byte) ([]string, error) {
		got, err := uncompress(m)
		return []string{string(got)}, err
	}})
	return append(out, timestampOriginal(t, ca), certsOnlyOriginal(t, ca))
}

func signedOriginals(t testing.TB, ca *testca.CA) (out []*original) {
	add := func(name string, message []byte, detached bool) {
		out = append(out, &original{name: name, message: message, accepted: func(m []byte) ([]string, error) {
			o := &SignedOptions{}
			if detached {
				o.Content = bytes.NewReader(mutantContent)
			}
			return whoSigned(m, o)
		}})
	}
	for _, kind := range kinds {
		s := signerOf(ca.Leaf("alice@example.com", kind), ca)
		add(kind.String(), signed(t, mutantContent, []*Signer{s}, &SignOptions{Time: testca.Now}), false)
	}
	rsa, p256 := signerOf(ca.Leaf("a@example.com", testca.RSA2048), ca), signerOf(ca.Leaf("b@example.com", testca.P256), ca)
	pss := rsa.Clone()
	pss.PSS = true
	add("RSA-PSS", signed(t, mutantContent, []*Signer{pss}, nil), false)
	add("detached", signed(t, mutantContent, []*Signer{p256}, &SignOptions{Detached: true, Time: testca.Now}), true)
	add("two signers", signed(t, mutantContent, []*Signer{rsa, p256}, &SignOptions{Capabilities: []Capability{{Algorithm: oid.AES256CBC}}}), false)
	add("another content type", signed(t, mutantContent, []*Signer{p256}, &SignOptions{ContentType: oid.CompressedData}), false)
	add("revocation inside", signed(t, mutantContent, []*Signer{p256}, &SignOptions{CRLs: [][]byte{ca.Issuing.CRL(nil)}, OCSPResponses: [][]byte{{0x30, 0}}}), false)
	stamped := signed(t, mutantContent, []*Signer{p256}, &SignOptions{Timestamp: authority(ca, testca.P256).stamp})
	add("countersigned and stamped", countersigned(t, stamped, notary(ca)), false)
	return out
}

// whoSigned says what each signer of a verified message proves; with no signer
// it proves nothing and counts as refused.
func whoSigned(message []byte, o *SignedOptions) (facts []string, err error) {
	content, s, err := verify(message, o)
	if err != nil {
		return nil, err
	}
	if len(s.Signers()) == 0 {
		return nil, errNothingProved
	}
	for _, r := range s.Signers() {
		// What is signed is the sorted set, in whatever order it is sent.
		attrs, err := sortedAttributes(r.signedAttrs)
		if err != nil {
			return nil, err
		}
		facts = append(facts, fmt.Sprintf("%q by %s with %x", content, r.Certificate.SHA256(), attrs))
		unsignedHold(&r)
	}
	return facts, nil
}

var errNothingProved = errors.New("nobody signed")

// unsignedHold panics where something in unsigned attributes is called right
// that nobody made.
func unsignedHold(r *SignerResult) {
	for _, c := range r.Countersignatures {
		if c.Err == nil && c.Certificate.Equal(r.Certificate) {
			panic("a signature became a countersignature")
		}
	}
	for _, ts := range r.Timestamps {
		if ts.Err == nil && (!ts.Time.Equal(testca.Now) || ts.Signer.Certificate.Equal(r.Certificate)) {
			panic("a timestamp with another time or authority")
		}
	}
}

func envelopedOriginals(t testing.TB, ca *testca.CA) (out []*original) {
	add := func(name string, message []byte, free bool, keys ...*RecipientKey) {
		out = append(out, &original{name: name, message: message, free: free, accepted: func(m []byte) ([]string, error) {
			got, e, err := decrypt(m, keys...)
			if err != nil {
				return nil, err
			}
			if !free && !e.Authenticated() {
				panic("an authenticated message became one that is not, and decrypts")
			}
			return []string{string(got)}, nil
		}})
	}
	for _, kind := range []testca.Kind{testca.RSA2048, testca.P256, testca.P384, testca.P521, testca.X25519, testca.X448, testca.MLKEM512, testca.MLKEM768, testca.MLKEM1024} {
		to, keys := recipients(t, ca.Leaf("c@example.com", kind))
		add(kind.String(), encrypted(t, mutantContent, to, &EncryptOptions{Cipher: AES256GCM}), false, keys...)
	}
	leaf := ca.Leaf("d@example.com", testca.P256)
	to, keys := recipients(t, leaf)
	length := int64(len(mutantContent))
	for _, c := range Ciphers() {
		o := &EncryptOptions{Cipher: c, Length: length, HasLength: true}
		add(c.String(), encrypted(t, mutantContent, to, o), !c.Authenticates(), keys...)
	}
	add("derived key", encrypted(t, mutantContent, to, &EncryptOptions{Cipher: AES128GCM, DeriveKey: true}), false, keys...)
	add("attributes", encrypted(t, mutantContent, to, &EncryptOptions{Cipher: AES128GCM, ContentType: oid.SignedData}), false, keys...)
	rsa := ca.Leaf("e@example.com", testca.RSA2048)
	oaep, err := NewRecipient(rsa.Certificate, &RecipientOptions{OAEP: crypto.SHA256})
	if err != nil {
		t.Fatal(err)
	}
	add("OAEP", encrypted(t, mutantContent, []*Recipient{oaep}, &EncryptOptions{Cipher: AES128GCM}), false, &RecipientKey{Key: rsa.Key, Certificate: rsa.Certificate})
	kek, err := NewKEKRecipient(make([]byte, 32), []byte("office"))
	if err != nil {
		t.Fatal(err)
	}
	password := passwordRecipient([]byte("correct horse"), 10)
	everybody := append(to, kek, password)
	message := encrypted(t, mutantContent, everybody, &EncryptOptions{Cipher: AES256GCM})
	for name, k := range map[string]*RecipientKey{"shared key": {KEK: make([]byte, 32), KEKID: []byte("office")}, "passphrase": {Passphrase: []byte("correct horse")}, "one of three": keys[0]} {
		add(name, message, false, k)
	}
	return out
}

func timestampOriginal(t testing.TB, ca *testca.CA) *original {
	a := authority(ca, testca.P256)
	q, der := request(t, "text")
	response, err := a.stamp(der)
	if err != nil {
		t.Fatal(err)
	}
	return &original{name: "timestamp", message: response, accepted: func(m []byte) ([]string, error) {
		_, ts, err := q.Open(m)
		if err != nil {
			return nil, err
		}
		return []string{fmt.Sprint(ts.Time, ts.Serial, ts.Accuracy, ts.Signer.Certificate.SHA256())}, nil
	}}
}

func certsOnlyOriginal(t testing.TB, ca *testca.CA) *original {
	var out bytes.Buffer
	if err := CertsOnly(&out, []*cert.Certificate{ca.Root.Certificate, ca.Issuing.Certificate}, [][]byte{ca.Root.CRL(nil)}); err != nil {
		t.Fatal(err)
	}
	return &original{name: "certs-only", message: out.Bytes(), free: true, accepted: func(m []byte) ([]string, error) {
		_, s, err := verify(m, nil)
		if err == nil && len(s.Signers()) > 0 {
			panic("a certs-only message became one that proves something")
		}
		return nil, err
	}}
}
