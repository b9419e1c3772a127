package smime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/testca"
)

// TestLayerLimit: a message wrapped too often is not opened to its heart, and quickly so.
func TestLayerLimit(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	message := plain
	for n := 1; n <= MaxLayers+2; n++ {
		message = signMessage(t, message, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Opaque: true})
		m, err := Open(strings.NewReader(message), int64(len(message)), w.options())
		var malformed *MalformedError
		switch {
		case n <= MaxLayers && (err != nil || m.Verdict.Verdict != Valid):
			t.Errorf("%d layers: %v", n, err)
		case n > MaxLayers && (!errors.As(err, &malformed) || m.Verdict.Verdict != Unknown || m.Content() != nil):
			t.Errorf("%d layers: %v, %s", n, err, show(m.Verdict))
		}
	}
}

// wantQuick wants f to take no more than two seconds. A busy machine gets more than one chance.
func wantQuick(t *testing.T, name string, f func()) {
	t.Helper()
	var took []time.Duration
	for range 4 {
		start := time.Now()
		f()
		d := time.Since(start)
		if d <= 2*time.Second {
			return
		}
		took = append(took, d)
	}
	t.Errorf("%s took %v", name, took)
}

// TestBombs: input that is made to be expensive.
func TestBombs(t *testing.T) {
	w := newWorld(t)
	nested := strings.Builder{}
	for i := range 5000 {
		fmt.Fprintf(&nested, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	for name, message := range map[string]string{
		"long header":      "From: a@example.com\r\nX: " + strings.Repeat("x", 8<<20) + "\r\n\r\n",
		"many fields":      strings.Repeat("X: y\r\n", 1_000_000),
		"nested parts":     "From: a@example.com\r\n" + nested.String(),
		"many parts":       "From: a@example.com\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", 200_000),
		"many lookalikes":  "From: a@example.com\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\r\n\r\n" + strings.Repeat("--bb\r\n", 300_000),
		"deep DER":         armour(pkcs7Header, bytes.Repeat([]byte{0x30, 0x80}, 500_000)),
		"deep comments":    "From: " + strings.Repeat("(", 500_000) + "\r\n\r\n",
		"many addresses":   "From: " + strings.Repeat("a@example.com,", 70_000) + "\r\n\r\n",
		"forwarded deeply": strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 20_000),
	} {
		wantQuick(t, name, func() {
			if m := judgeAnything(t, message, w.options()); m != nil && m.Verdict.Verdict == Valid {
				t.Errorf("%s: %s", name, show(m.Verdict))
			}
		})
	}
}

// TestUniformDecryption: a message that does not decrypt says so in one way, whatever is wrong with it.
func TestUniformDecryption(t *testing.T) {
	w := newWorld(t)
	for _, kind := range []testca.Kind{testca.RSA2048, testca.P256} {
		bob := w.ca.Leaf("bob@example.org", kind)
		for _, c := range []cms.Cipher{cms.AES256CBC, cms.AES256GCM} {
			message := encryptMessage(t, plain, c, bob)
			head, body, _ := strings.Cut(message, "\r\n\r\n")
			der, err := io.ReadAll(entity.NewBase64Reader(strings.NewReader(body)))
			if err != nil {
				t.Fatal(err)
			}
			errs := map[string]int{}
			for i := len(der) - 40; i < len(der); i++ {
				changed := bytes.Clone(der)
				changed[i] ^= 0x80
				m, err := Open(strings.NewReader(armour(head+"\r\n\r\n", changed)), int64(len(armour(head+"\r\n\r\n", changed))), w.options(bob))
				if err == nil {
					continue // CBC: the padding came out right
				}
				errs[err.Error()]++
				if m.Content() != nil {
					t.Error("content beside an error")
				}
			}
			if len(errs) != 1 || errs[ErrDecrypt.Error()] == 0 {
				t.Errorf("%s: %v", c, errs)
			}
		}
	}
}

// TestBudget: many signers share the work that one may make.
func TestBudget(t *testing.T) {
	var j judge
	total := 0
	for range 512 {
		b := j.budget()
		if b < minBudget {
			t.Fatal(b)
		}
		total += b
	}
	if total > 2*certpath.DefaultBudget+512*minBudget {
		t.Errorf("%d signature checks", total)
	}
}

// TestManySlowChains: sixty-four signers, each with hundreds of ways up that lead nowhere.
func TestManySlowChains(t *testing.T) {
	w := newWorld(t)
	stranger := testca.NewRoot(t, "Stranger")
	issuing := stranger.Authority("Slow")
	var chain []*cert.Certificate
	for i := range 300 {
		chain = append(chain, testca.NewRoot(t, fmt.Sprintf("Nowhere %d", i%10)).CrossSign(issuing))
	}
	var signers []*cms.Signer
	for i := range cms.MaxSigners {
		l := issuing.Leaf(fmt.Sprintf("a%d@example.com", i), testca.P256)
		signers = append(signers, &cms.Signer{Key: l.Signer(), Certificate: l.Certificate, Chain: chain})
	}
	message := signMessage(t, plain, &SignOptions{Signers: signers})
	wantQuick(t, "slow chains", func() { wantVerdict(t, open(t, message, w.options()), Invalid, CoverageWhole) })
}
