package cms

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
)

// NewKEKRecipient makes a recipient of those who share the AES key kek, which
// id names (RFC 5652 §6.2.3).
func NewKEKRecipient(kek, id []byte) (*Recipient, error) {
	if n := len(kek); n != 16 && n != 24 && n != 32 {
		return nil, fmt.Errorf("cms: key-encryption key of %d octets; AES takes 16, 24 or 32", n)
	}
	if len(id) == 0 {
		return nil, errors.New("cms: key-encryption key without an identifier")
	}
	return &Recipient{name: fmt.Sprintf("shared key %x", id), info: func(_ io.Reader, key []byte) ([]byte, error) {
		encrypted, err := wrapKey(kek, key)
		if err != nil {
			return nil, err
		}
		var b cryptobyte.Builder
		b.AddASN1(context2.Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1Int64(4)
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1OctetString(id) })
			AlgorithmIdentifier{Algorithm: wrapFor(len(kek))}.Add(b)
			b.AddASN1OctetString(encrypted)
		})
		return b.Bytes()
	}}, nil
}

// kekri is what a KEKRecipientInfo holds.
type kekri struct {
	id           []byte
	algorithm    AlgorithmIdentifier
	encryptedKey []byte
}

func parseKEK(s cryptobyte.String) ([]RecipientInfo, error) {
	var version int64
	var kekid, id, encrypted cryptobyte.String
	i := &kekri{}
	if !s.ReadASN1Integer(&version) || !s.ReadASN1(&kekid, asn1.SEQUENCE) || !kekid.ReadASN1(&id, asn1.OCTET_STRING) ||
		!oid.ReadAlgorithm(&s, &i.algorithm) || !s.ReadASN1(&encrypted, asn1.OCTET_STRING) || !s.Empty() {
		return nil, malformed("KEKRecipientInfo", nil)
	}
	i.id, i.encryptedKey = id, encrypted
	return []RecipientInfo{{Kind: "kekri", KEKID: i.id, Algorithm: i.algorithm, sealed: i}}, nil
}

func (i *kekri) fits(k *RecipientKey) bool { return len(k.KEK) > 0 && bytes.Equal(k.KEKID, i.id) }

func (i *kekri) open(_ io.Reader, k *RecipientKey, _ int) ([]byte, error) {
	w, err := readKeyWrap(i.algorithm)
	if err != nil {
		return nil, err
	}
	if len(k.KEK) != w.size {
		return nil, errUnwrap
	}
	return w.unwrap(k.KEK, i.encryptedKey)
}
