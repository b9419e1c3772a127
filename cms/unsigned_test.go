package cms

import (
	"errors"
	"io"
	"testing"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// RFC 5652 §11.1 to §11.3: content type, digest and signing time stand among the
// signed attributes or nowhere. Whoever adds them later could say anything.
func TestAttributesThatMustBeSigned(t *testing.T) {
	ca := testca.New(t)
	message := signed(t, []byte("text"), []*Signer{signerOf(ca.Leaf("alice@example.com", testca.P256), ca)}, nil)
	for attribute, wrong := range map[OID]bool{
		oid.AttrSigningTime: true, oid.AttrContentType: true, oid.AttrMessageDigest: true, oid.AttrChallengePassword: false,
	} {
		added := amend(t, message, &Amendment{Unsigned: func(int, *SignerInfo) (Attributes, error) {
			return Attributes{{Type: attribute, Values: [][]byte{[]byte("\x17\x0d260601120000Z")}}}, nil
		}})
		if _, _, err := verify(added, nil); errors.Is(err, ErrSignature) != wrong || !wrong && err != nil {
			t.Errorf("%s added: %v", attribute.Name(), err)
		}
	}
}

// TestBadContentType: what is not an object identifier is refused before any content.
func TestBadContentType(t *testing.T) {
	ca := testca.New(t)
	signer := signerOf(ca.Leaf("alice@example.com", testca.P256), ca)
	for _, detached := range []bool{true, false} {
		if _, err := Sign(io.Discard, []*Signer{signer}, &SignOptions{Detached: detached, ContentType: "data"}); err == nil {
			t.Errorf("detached %v: taken", detached)
		}
	}
}
