package smime

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
)

// TestSplicedLines puts an attacker's lines into good mails, and takes lines out, doubles and moves them, one to four at a time. Whatever
// comes of it: a mail that is valid is from the one who signed it, and shows what was signed and not a word of the attacker's.
func TestSplicedLines(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	sign := func(o SignOptions) string {
		o.Signers = []*cms.Signer{signerOf(alice)}
		return signMessage(t, plain, &o)
	}
	detached := sign(SignOptions{})
	boundary := "--" + detached[strings.Index(detached, "boundary=\"")+10:]
	boundary = boundary[:strings.Index(boundary, "\"")]
	evil := []string{
		"evil", "", " evil", "\tevil", "From: evil@example.net", "From: Alice <alice@example.com>", "Sender: evil@example.net", "Reply-To: evil@example.net", "Content-Type: text/plain", "Content-Type: text/html; x=evil", "Content-Type: multipart/mixed; boundary=x",
		"Content-Transfer-Encoding: base64", "Content-Transfer-Encoding: quoted-printable", "Content-Disposition: attachment; filename=evil.p7m", "MIME-Version: 1.0", "Subject: evil", boundary, boundary + "--", boundary + " ", boundary + "evil", "--x", "--x--",
		"<b>evil</b>", "evil\rFrom: evil@example.net", "evil\x00", "X-Evil: evil", "Content-Type: message/rfc822", "Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m", "ZXZpbA==", "\tboundary=\"x\"", "\tprotocol=\"application/pgp-signature\"", " ; boundary=x",
	}
	random := rand.New(rand.NewPCG(1, 2))
	for name, message := range map[string]string{
		"detached": detached, "opaque": sign(SignOptions{Opaque: true}), "protected": sign(SignOptions{Headers: HeadersVisible}),
		"sealed": w.sealMessage(plain, HeadersBaseline, alice, bob),
	} {
		want := content(t, open(t, message, w.options(bob)))
		lines := strings.SplitAfter(message, "\r\n")
		valid, harmless := 0, 0
		for range 1500 {
			spliced := slices.Clone(lines)
			for range 1 + random.IntN(4) {
				i, j := random.IntN(len(spliced)), random.IntN(len(spliced))
				switch random.IntN(6) {
				case 0:
					spliced = slices.Delete(spliced, i, i+1)
				case 1:
					spliced = slices.Insert(spliced, i, spliced[j])
				case 2:
					spliced[i], spliced[j] = spliced[j], spliced[i]
				default:
					end := []string{"\r\n", "\r\n", "\n", "\r", ""}[random.IntN(5)]
					spliced = slices.Insert(spliced, i, evil[random.IntN(len(evil))]+end)
				}
			}
			changed := strings.Join(spliced, "")
			m := judgeAnything(t, changed, w.options(bob))
			if m == nil || m.Verdict.Verdict != Valid {
				continue
			}
			valid++
			if len(m.Verdict.From) != 1 || !strings.EqualFold(m.Verdict.From[0], "alice@example.com") || m.Verdict.Signers[0].SHA256 != alice.Certificate.SHA256() {
				t.Fatalf("%s: %s\n%s", name, show(m.Verdict), changed)
			}
			if got := content(t, m); strings.ReplaceAll(got, "\r\n", "\n") != strings.ReplaceAll(want, "\r\n", "\n") {
				t.Fatalf("%s: valid with %q\n%s", name, got, changed)
			}
			_, body, _ := strings.Cut(written(t, m), "\r\n\r\n")
			if strings.Contains(body, "evil") {
				t.Fatalf("%s: shown is %q\n%s", name, body, changed)
			}
			if changed != message {
				harmless++
			}
		}
		if t.Logf("%s: %d valid", name, valid); harmless == 0 {
			t.Errorf("%s: no change is harmless, not even a field that nobody asks for", name)
		}
	}
}
