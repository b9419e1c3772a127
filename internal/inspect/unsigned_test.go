package inspect

import (
	"bytes"
	"io"
	"math/big"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
)

// What was added to a signature later is explained beneath it, right and wrong.
func TestUnsignedAttributes(t *testing.T) {
	ca := testca.New(t)
	signerOf := func(email string) *cms.Signer {
		leaf := ca.Leaf(email, testca.P256)
		return &cms.Signer{Key: leaf.Signer(), Certificate: leaf.Certificate}
	}
	alice, notary := signerOf("alice@example.com"), signerOf("notary@example.com")
	clock := &cms.TimestampAuthority{Signer: signerOf("clock@example.com"), Policy: "1.2.3", Accuracy: time.Second}
	sign := func() []byte {
		var out bytes.Buffer
		w, err := cms.Sign(&out, []*cms.Signer{alice}, &cms.SignOptions{
			Detached: true, Timestamp: func(q []byte) ([]byte, error) { return clock.Respond(q, big.NewInt(1), testca.Now) },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	message := sign()
	var out bytes.Buffer
	err := cms.Amend(&out, bytes.NewReader(message), int64(len(message)), &cms.Amendment{
		Certificates: notary.Certificates(),
		Unsigned: func(_ int, si *cms.SignerInfo) (cms.Attributes, error) {
			good, err := cms.Countersign(si, notary, &cms.CountersignOptions{Time: testca.Now})
			if err != nil {
				return nil, err
			}
			bad, err := cms.Countersign(&cms.SignerInfo{Signature: []byte("another")}, notary, nil)
			return cms.Attributes{good, bad}, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := explain(out.Bytes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, text(t, r), "Countersignature", "Timestamp", "fits yes", "fits no: cms: signature does not fit the content: countersignature of another signature",
		"time 2026-06-01T12:00:00Z", "accuracy 1s", "policy 1.2.3", "authority CN=clock@example.com")
}

// An archive timestamp is over the content too: right beside it, wrong over another.
func TestArchiveTimestamp(t *testing.T) {
	ca := testca.New(t)
	leaf, clock := ca.Leaf("alice@example.com", testca.P256), ca.Leaf("clock@example.com", testca.P256)
	authority := &cms.TimestampAuthority{Signer: &cms.Signer{Key: clock.Signer(), Certificate: clock.Certificate}, Policy: "1.2.3"}
	var message, out bytes.Buffer
	w, err := cms.Sign(&message, []*cms.Signer{{Key: leaf.Signer(), Certificate: leaf.Certificate}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("text")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	in, err := cms.NewReader(bytes.NewReader(message.Bytes()), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := in.SignedData(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, s); err != nil {
		t.Fatal(err)
	}
	err = cms.Amend(&out, bytes.NewReader(message.Bytes()), int64(message.Len()), &cms.Amendment{Unsigned: func(i int, _ *cms.SignerInfo) (cms.Attributes, error) {
		q, err := s.ArchiveTimestampRequest(i, 0, nil)
		if err != nil {
			return nil, err
		}
		der, err := q.DER()
		if err != nil {
			return nil, err
		}
		response, err := authority.Respond(der, big.NewInt(7), testca.Now)
		if err != nil {
			return nil, err
		}
		a, _, err := q.OpenAttribute(response)
		return cms.Attributes{a}, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := explain(out.Bytes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, text(t, r), "Archive timestamp", "fits yes", "time 2026-06-01T12:00:00Z", "authority CN=clock@example.com")
	r, err = explain(bytes.Replace(out.Bytes(), []byte("text"), []byte("next"), 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, text(t, r), "Archive timestamp", "fits no: cms: signature does not fit the content: the timestamp is for something else")
}
