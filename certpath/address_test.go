package certpath

import (
	"crypto/x509/pkix"
	"testing"

	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

func TestNames(t *testing.T) {
	ca := testca.New(t)
	san := func(n ...[]byte) testca.Option { return testca.AltNames(false, n...) }
	none := testca.Emails()
	for _, tt := range []struct {
		name   string
		option testca.Option
		asked  string
		want   bool
	}{
		{"same", testca.Emails(alice), alice, true},
		{"case of the domain", testca.Emails("alice@EXAMPLE.com"), alice, true},
		{"ASCII case of the local part", testca.Emails("Alice@example.com"), alice, true},
		{"second of two", testca.Emails("bob@example.com", alice), alice, true},
		{"another local part", testca.Emails("bob@example.com"), alice, false},
		{"another domain", testca.Emails("alice@example.org"), alice, false},
		{"host below", testca.Emails("alice@a.example.com"), alice, false},
		{"tag is not dropped", testca.Emails("alice+x@example.com"), alice, false},
		{"dot is not dropped", testca.Emails("a.lice@example.com"), alice, false},
		{"A-label against U-label", testca.Emails("a@xn--bcher-kva.example"), "a@bücher.example", true},
		{"look-alike domain", testca.Emails("a@xn--exmple-4nf.com"), "a@example.com", false},
		{"trailing NUL", san(testca.Mailbox("alice@example.com\x00")), alice, false},
		{"NUL and more", san(testca.Mailbox("alice@example.com\x00.evil.example")), alice, false},
		{"trailing space", san(testca.Mailbox("alice@example.com ")), alice, false},
		{"leading space", san(testca.Mailbox(" alice@example.com")), alice, false},
		{"line end", san(testca.Mailbox("alice@example.com\r\n")), alice, false},
		{"two in one", san(testca.Mailbox("alice@example.com,bob@example.com")), alice, false},
		{"display name", san(testca.Mailbox("Alice <alice@example.com>")), alice, false},
		{"comment", san(testca.Mailbox("alice(x)@example.com")), alice, false},
		{"mailto", san(testca.Mailbox("mailto:alice@example.com")), alice, false},
		{"trailing dot", san(testca.Mailbox("alice@example.com.")), alice, false},
		{"bad one does not hide a good one", san(testca.Mailbox("@"), testca.Mailbox(alice)), alice, true},
		{"quoted", san(testca.Mailbox(`"alice"@example.com`)), alice, true},
		{"UTF-8 in rfc822Name", san(testca.Mailbox("ália@example.com")), "ália@example.com", false},
		{"SmtpUTF8Mailbox", san(testca.UTF8Mailbox("ália@example.com")), "ália@example.com", true},
		{"SmtpUTF8Mailbox, A-label", san(testca.UTF8Mailbox("ália@xn--bcher-kva.example")), "ália@bücher.example", true},
		{"SmtpUTF8Mailbox, U-label", san(testca.UTF8Mailbox("ália@bücher.example")), "ália@xn--bcher-kva.example", true},
		{"SmtpUTF8Mailbox, another", san(testca.UTF8Mailbox("ália@example.com")), "alia@example.com", false},
		{"SmtpUTF8Mailbox for an ASCII address", san(testca.UTF8Mailbox(alice)), alice, false},
		{"SmtpUTF8Mailbox for an ASCII local part", san(testca.UTF8Mailbox("alice@b\u00fccher.example")), "alice@b\u00fccher.example", false},
		{"SmtpUTF8Mailbox for an ASCII address beside its rfc822Name", san(testca.UTF8Mailbox(alice), testca.Mailbox(alice)), alice, true},
		{"URI is no address", san(testca.URI("mailto:alice@example.com")), alice, false},
		{"DNS name is no address", san(testca.DNS("alice@example.com")), alice, false},
		{"other name is no address", san(otherName("1.3.6.1.4.1.311.20.2.3", alice)), alice, false},
		{"malformed subjectAltName", testca.Extension(oid.ExtSubjectAltName, false, []byte{0x30, 1, 0}), alice, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leaf := ca.Leaf("", testca.P256, tt.option)
			m, err := mailbox.Parse(tt.asked)
			if err != nil {
				t.Fatal(err)
			}
			if got := Names(leaf.Certificate, m); got != tt.want {
				t.Errorf("Names = %v; the certificate has %q", got, leaf.Certificate.Emails())
			}
		})
	}
	m, _ := mailbox.Parse(alice)
	for _, tt := range []struct {
		name    string
		options []testca.Option
		want    bool
	}{
		{"emailAddress in the subject", []testca.Option{none, testca.SubjectEmail(alice)}, true},
		{"emailAddress beside a subjectAltName without addresses", []testca.Option{none, testca.SubjectEmail(alice), san(testca.DNS("a.example"))}, true},
		{"emailAddress beside another rfc822Name", []testca.Option{testca.Emails("bob@example.com"), testca.SubjectEmail(alice)}, false},
		{"emailAddress beside an unreadable rfc822Name", []testca.Option{none, san(testca.Mailbox("@")), testca.SubjectEmail(alice)}, false},
		{"emailAddress beside SmtpUTF8Mailbox", []testca.Option{none, san(testca.UTF8Mailbox("ália@example.com")), testca.SubjectEmail(alice)}, false},
		{"emailAddress beside an unreadable subjectAltName", []testca.Option{none, testca.Extension(oid.ExtSubjectAltName, false, []byte{5, 0}), testca.SubjectEmail(alice)}, false},
		{"common name", []testca.Option{none, testca.Subject(pkix.Name{CommonName: alice})}, false},
		{"nothing", []testca.Option{none, testca.Subject(pkix.Name{CommonName: "Alice"})}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Names(ca.Leaf("", testca.P256, tt.options...).Certificate, m); got != tt.want {
				t.Errorf("Names = %v", got)
			}
		})
	}
	if Names(ca.Leaf("", testca.P256, none).Certificate, mailbox.Mailbox{}) {
		t.Error("a certificate without addresses names the zero mailbox")
	}
}

// TestMailboxesAreAddresses: what is no address is not among them.
func TestMailboxesAreAddresses(t *testing.T) {
	ca := testca.New(t)
	for _, n := range [][]byte{testca.Mailbox("@"), testca.Mailbox(""), testca.Mailbox("alice@example.com\x00"), testca.UTF8Mailbox("\u00e1lia"), testca.UTF8Mailbox(alice)} {
		leaf := ca.Leaf("", testca.P256, testca.AltNames(false, n), testca.SubjectEmail("bob@example.com"))
		if got := Mailboxes(leaf.Certificate); len(got) != 0 {
			t.Errorf("%q: %v", n, got)
		}
	}
}
