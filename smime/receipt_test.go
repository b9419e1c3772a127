package smime

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

func requestTo(t testing.TB, to ...string) *ReceiptRequest {
	t.Helper()
	r, err := NewReceiptRequest(nil, testca.Now, to...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func receiptFor(t testing.TB, m *Message, l *testca.Leaf) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := MakeReceipt(&b, m, &SignOptions{Signers: []*cms.Signer{signerOf(l)}, Time: testca.Now}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func verifyReceipt(t testing.TB, receipt []byte, original *Message, o *OpenOptions) *Verdict {
	t.Helper()
	v, err := VerifyReceipt(bytes.NewReader(receipt), int64(len(receipt)), original, o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestReceipt goes from the request to the verified receipt, over each form of message and of receipt.
func TestReceipt(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.RSA2048), w.ca.Leaf("bob@example.org", testca.P256)
	so := &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Time: testca.Now, Receipt: requestTo(t, "alice@example.com", "archive@example.com")}
	opaque := *so
	opaque.Opaque = true
	messages := map[string]string{"detached": signMessage(t, plain, so), "opaque": signMessage(t, plain, &opaque)}
	messages["encrypted"] = encryptMessage(t, messages["opaque"], "", bob, alice)
	var triple bytes.Buffer
	if err := TripleWrap(&triple, strings.NewReader(plain), int64(len(plain)), so, &EncryptOptions{Recipients: []*cms.Recipient{recipientOf(t, bob), recipientOf(t, alice)}}, so); err != nil {
		t.Fatal(err)
	}
	messages["triple"] = triple.String()
	for name, message := range messages {
		t.Run(name, func(t *testing.T) {
			m := open(t, message, w.options(bob))
			wantVerdict(t, m, Valid, CoverageWhole)
			r := m.ReceiptRequest()
			if r == nil || !bytes.Equal(r.ContentID, so.Receipt.ContentID) || fmt.Sprint(r.To) != "[alice@example.com archive@example.com]" || r.From != nil {
				t.Fatalf("%+v", r)
			}
			original := open(t, message, w.options(alice))
			der := receiptFor(t, m, bob)
			var mail bytes.Buffer
			if err := MailReceipt(&mail, m, "bob@example.org", &SignOptions{Signers: []*cms.Signer{signerOf(bob)}, Time: testca.Now}); err != nil {
				t.Fatal(err)
			}
			for form, receipt := range map[string][]byte{
				"DER": der, "PEM": pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: der}), "mail": mail.Bytes(),
				"encrypted mail": []byte(encryptMessage(t, mail.String(), "", alice)),
			} {
				v := verifyReceipt(t, receipt, original, w.options(alice))
				if v.Verdict != Valid || len(v.Signers) != 1 || v.Signers[0].Emails[0] != "bob@example.org" || v.Encrypted != (form == "encrypted mail") {
					t.Errorf("%s: %s", form, show(*v))
				}
			}
			for _, want := range []string{"To: alice@example.com,\r\n archive@example.com\r\n", "In-Reply-To: <1@example.com>\r\n", "smime-type=signed-receipt"} {
				if !strings.Contains(mail.String(), want) {
					t.Errorf("%q is missing in\n%s", want, mail.String())
				}
			}
			// Read as a message it is one that cannot be judged.
			read := judgeAnything(t, mail.String(), w.options())
			if read.Verdict.Verdict != Unknown {
				t.Errorf("%s", show(read.Verdict))
			}
		})
	}
}

// TestReceiptForAnother: every way in which a receipt is not for this message, or not from who was asked.
func TestReceiptForAnother(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256), w.ca.Leaf("carol@example.org", testca.P256)
	ask := func(text string, r *ReceiptRequest) string {
		return signMessage(t, strings.Replace(plain, "noon", text, 1), &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Time: testca.Now, Receipt: r})
	}
	request := requestTo(t, "alice@example.com")
	onlyBob := requestTo(t, "alice@example.com")
	onlyBob.From = []string{"Bob@example.org"}
	first, second, asked := ask("noon", request), ask("midnight", request), ask("noon", onlyBob)
	original, other, listed := open(t, first, w.options()), open(t, second, w.options()), open(t, asked, w.options())
	good := receiptFor(t, original, bob)
	if v := verifyReceipt(t, good, original, w.options()); v.Verdict != Valid {
		t.Fatalf("%s", show(*v))
	}
	if v := verifyReceipt(t, receiptFor(t, listed, bob), listed, w.options()); v.Verdict != Valid {
		t.Fatalf("%s", show(*v))
	}
	content := func(change func(r *receipt)) []byte {
		r := &receipt{oid.Data, request.ContentID, original.signed[0].Signature}
		change(r)
		der, err := r.encode()
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	digest, err := original.signed[0].SignedAttrsDigest()
	if err != nil {
		t.Fatal(err)
	}
	sign := func(content, digest []byte, l *testca.Leaf) []byte {
		o := &cms.SignOptions{ContentType: oid.Receipt, Time: testca.Now}
		if digest != nil {
			var b cryptobyte.Builder
			b.AddASN1OctetString(digest)
			o.Attributes = cms.Attributes{{Type: oid.AttrMsgSigDigest, Values: [][]byte{b.BytesOrPanic()}}}
		}
		var out bytes.Buffer
		sw, err := cms.Sign(&out, []*cms.Signer{signerOf(l)}, o)
		if err == nil {
			_, err = sw.Write(content)
		}
		if err == nil {
			err = sw.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	same := func(*receipt) {}
	if v := verifyReceipt(t, sign(content(same), digest, bob), original, w.options()); v.Verdict != Valid {
		t.Fatalf("the test's own receipt: %s", show(*v))
	}
	plainMessage := open(t, ask("noon", nil), w.options())
	for name, c := range map[string]struct {
		receipt  []byte
		original *Message
		says     string
	}{
		"another message":            {good, other, "another message"},
		"a message that asked none":  {sign(content(func(r *receipt) { r.signature = plainMessage.signed[0].Signature }), digest, bob), plainMessage, "asks for no receipt"},
		"another content identifier": {sign(content(func(r *receipt) { r.contentID = []byte("x") }), digest, bob), original, "content identifier"},
		"another signature":          {sign(content(func(r *receipt) { r.signature = []byte("x") }), digest, bob), original, "names a signature"},
		"another content type":       {sign(content(func(r *receipt) { r.contentType = oid.Receipt }), digest, bob), original, "not mail"},
		"another digest":             {sign(content(same), make([]byte, 32), bob), original, "another digest"},
		"no digest":                  {sign(content(same), nil, bob), original, "another digest"},
		"no receipt":                 {sign([]byte("hello"), digest, bob), original, "malformed receipt"},
		"from who was not asked":     {sign(content(func(r *receipt) { r.contentID, r.signature = onlyBob.ContentID, listed.signed[0].Signature }), nil, carol), listed, "did not ask"},
		"changed":                    {bytes.Replace(good, request.ContentID, append([]byte("3"), request.ContentID[1:]...), 1), original, "changed after signing"},
	} {
		v := verifyReceipt(t, c.receipt, c.original, w.options())
		if v.Verdict != Invalid || !strings.Contains(v.Signers[0].Reason, c.says) {
			t.Errorf("%s: %s", name, show(*v))
		}
	}
	stranger := testca.NewRoot(t, "Stranger").Leaf("bob@example.org", testca.P256)
	if v := verifyReceipt(t, sign(content(same), digest, stranger), original, w.options()); v.Verdict != Untrusted {
		t.Errorf("%s", show(*v))
	}
	// A mail whose From is another's.
	mail := armour("From: carol@example.org\r\nContent-Type: application/pkcs7-mime; smime-type=signed-receipt\r\nContent-Transfer-Encoding: base64\r\n\r\n", good)
	if v := verifyReceipt(t, []byte(mail), original, w.options()); v.Verdict != Invalid || v.Signers[0].Status != StatusAddressMismatch {
		t.Errorf("%s", show(*v))
	}
	// An original that was altered proves nothing.
	altered := judgeAnything(t, strings.Replace(first, "noon", "moon", 1), w.options())
	if v := verifyReceipt(t, good, altered, w.options()); v.Verdict != Invalid || !strings.Contains(v.Signers[0].Reason, "not what was signed") {
		t.Errorf("%s", show(*v))
	}
	for name, bad := range map[string]string{
		"a message": first, "nothing": "", "text": "From: a@example.com\r\n\r\nhello\r\n", "large": strings.Repeat("x", maxReceiptFile+1),
		"a signed text": string(cmsOf(t, signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Opaque: true}))),
		"large receipt": string(sign(make([]byte, MaxReceipt+1), digest, bob)),
	} {
		var malformed *MalformedError
		if _, err := VerifyReceipt(strings.NewReader(bad), int64(len(bad)), original, w.options()); !errors.As(err, &malformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoReceipt: for what is not valid, or asks nobody, or others, none is made.
func TestNoReceipt(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	others := requestTo(t, "alice@example.com")
	others.From = []string{"carol@example.org"}
	sign := func(r *ReceiptRequest, l *testca.Leaf) string {
		return signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(l)}, Time: testca.Now, Receipt: r})
	}
	good := sign(requestTo(t, "alice@example.com"), alice)
	for name, c := range map[string]struct {
		message string
		by      *testca.Leaf
	}{
		"asks for none":  {sign(nil, alice), bob},
		"asks others":    {sign(others, alice), bob},
		"altered":        {strings.Replace(good, "noon", "moon", 1), bob},
		"another's name": {sign(requestTo(t, "bob@example.org"), bob), alice},
		"to oneself":     {good, alice},
		"signs outside":  {signMessage(t, encryptMessage(t, plain, "", bob), &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Receipt: requestTo(t, "alice@example.com")}), bob},
	} {
		m := judgeAnything(t, c.message, w.options(bob))
		err := MakeReceipt(&bytes.Buffer{}, m, &SignOptions{Signers: []*cms.Signer{signerOf(c.by)}, Time: testca.Now})
		if !errors.Is(err, ErrNoReceipt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewReceiptRequest(nil, testca.Now); err == nil {
		t.Error("to nobody")
	}
	if _, err := NewReceiptRequest(nil, testca.Now, make([]string, MaxReceiptsTo+1)...); err == nil {
		t.Error("to too many")
	}
	bad := &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Receipt: &ReceiptRequest{To: []string{"not an address"}}}
	if err := Sign(&bytes.Buffer{}, strings.NewReader(plain), int64(len(plain)), bad); err == nil {
		t.Error("to what is no address")
	}
}

// TestReceiptRequestForms: what is read of a request, and its limits.
func TestReceiptRequestForms(t *testing.T) {
	many := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("r%d@example.com", i))
		}
		return list
	}
	for name, c := range map[string]struct {
		r  ReceiptRequest
		ok bool
	}{
		"all":         {ReceiptRequest{ContentID: []byte("1"), To: []string{"a@example.com"}}, true},
		"first tier":  {ReceiptRequest{ContentID: []byte("1"), FirstTier: true, To: []string{"a@example.com"}}, true},
		"list":        {ReceiptRequest{ContentID: []byte("1"), From: []string{"b@example.com", "c@example.com"}, To: []string{"ü@example.com"}}, true},
		"16 to":       {ReceiptRequest{ContentID: []byte("1"), To: many(MaxReceiptsTo)}, true},
		"17 to":       {ReceiptRequest{ContentID: []byte("1"), To: many(MaxReceiptsTo + 1)}, false},
		"a long list": {ReceiptRequest{ContentID: []byte("1"), From: many(MaxReceiptsFrom), To: many(1)}, true},
		"too long":    {ReceiptRequest{ContentID: []byte("1"), From: many(MaxReceiptsFrom + 1), To: many(1)}, false},
	} {
		der, err := c.r.encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseReceiptRequest(der)
		if (err == nil) != c.ok || c.ok && fmt.Sprint(*back) != fmt.Sprint(c.r) {
			t.Errorf("%s: %v, %v", name, back, err)
		}
	}
	for _, bad := range []string{"", "\x30\x00", "\x30\x08\x04\x01x\x80\x01\x02\x30\x00", "\x30\x07\x04\x01x\xa1\x00\x30\x00"} {
		if r, err := parseReceiptRequest([]byte(bad)); err == nil {
			t.Errorf("%x: %+v", bad, r)
		}
	}
}

func TestMessageIDs(t *testing.T) {
	for id, want := range map[string]bool{"<1@example.com>": true, "": false, "<>": false, "1@example.com": false, "<a b>": false, "<a\r\nBcc: x@example.com>": false, "<" + strings.Repeat("x", 1000) + ">": false} {
		if isMessageID(id) != want {
			t.Errorf("%q", id)
		}
	}
}

func FuzzReceipt(f *testing.F) {
	for _, r := range []ReceiptRequest{{ContentID: []byte("1"), To: []string{"a@example.com"}}, {ContentID: []byte("1"), From: []string{"b@example.com"}, To: []string{"ü@example.com"}}} {
		der, err := r.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	der, err := (&receipt{oid.Data, []byte("1"), []byte("signature")}).encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Fuzz(func(t *testing.T, der []byte) {
		if r, err := parseReceipt(der); err == nil {
			if again, err := r.encode(); err != nil || !bytes.Equal(again, der) {
				t.Errorf("%x became %x: %v", der, again, err)
			}
		}
		if r, err := parseReceiptRequest(der); err == nil {
			again, err := r.encode()
			if err != nil {
				t.Fatalf("%x: %v", der, err)
			}
			if back, err := parseReceiptRequest(again); err != nil || fmt.Sprint(*back) != fmt.Sprint(*r) {
				t.Errorf("%x became %x: %v", der, again, err)
			}
		}
	})
}
