package interop

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
)

// message has what text tools like to damage.
var message = []byte("From here,\r\nto there.  \r\n.\r\n\r\n\xe3\x81\x82\r\n")

var kinds = []testca.Kind{testca.RSA2048, testca.RSA3072, testca.P256, testca.P384}

// exchange runs every algorithm that the peer knows in both directions, and
// shows each side a message that was changed on the way.
func exchange(t *testing.T, p peer, parties []*party) {
	large := bytes.Repeat(message, 60_000) // beyond what is written in DER
	for _, who := range parties {
		for size, content := range map[string][]byte{"small": message, "large": large} {
			for _, detached := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v/%s/detached=%v", who.kind, size, detached), func(t *testing.T) {
					signBothWays(t, p, who, content, detached)
				})
			}
			for _, c := range p.ciphers() {
				t.Run(fmt.Sprintf("%v/%s/%v", who.kind, size, c), func(t *testing.T) {
					encryptBothWays(t, p, []*party{who}, content, c)
				})
			}
		}
	}
}

func signBothWays(t *testing.T, p peer, who *party, content []byte, detached bool) {
	var outside []byte
	if detached {
		outside = content
	}
	messages := map[string][]byte{"ours": ourSign(t, who, content, detached)}
	if p.can(signs, who.kind) {
		messages["theirs"] = p.sign(t, who, content, detached)
	}
	for whose, m := range messages {
		if got, err := ourVerify(m, outside, who); err != nil || !bytes.Equal(got, content) {
			t.Errorf("we refuse %s: %v", whose, err)
		}
		changed, changedOutside := alter(m, outside, content)
		if _, err := ourVerify(changed, changedOutside, who); err == nil {
			t.Errorf("we take %s changed", whose)
		}
		if !p.can(verifies, who.kind) {
			continue
		}
		if got, err := p.verify(t, m, outside); err != nil || !detached && !bytes.Equal(got, content) {
			t.Errorf("the peer refuses %s: %v", whose, err)
		}
		if _, err := p.verify(t, changed, changedOutside); err == nil {
			t.Errorf("the peer takes %s changed", whose)
		}
	}
}

// alter changes one letter of the content, where it is.
func alter(m, outside, content []byte) (changed, changedOutside []byte) {
	if outside != nil {
		changedOutside = bytes.Clone(outside)
		changedOutside[3] ^= 1
		return m, changedOutside
	}
	changed = bytes.Clone(m)
	changed[bytes.Index(m, content[:10])+3] ^= 1
	return changed, nil
}

func encryptBothWays(t *testing.T, p peer, to []*party, content []byte, c cms.Cipher) {
	t.Helper()
	messages := map[string][]byte{"ours": ourEncrypt(t, to, content, &cms.EncryptOptions{Cipher: c})}
	if p.can(encrypts, to[0].kind) {
		messages["theirs"] = p.encrypt(t, to, content, c)
	}
	for whose, m := range messages {
		for _, who := range []*party{to[0], to[len(to)-1]} {
			if got, err := ourDecrypt(m, who); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: we do not read %s: %v", who.name, whose, err)
			}
			if !p.can(decrypts, who.kind) {
				continue
			}
			if got, err := p.decrypt(t, who, m); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: the peer does not read %s: %v", who.name, whose, err)
			}
		}
		if !c.Authenticates() {
			continue
		}
		changed := bytes.Clone(m)
		changed[len(m)-30] ^= 1
		if _, err := ourDecrypt(changed, to[0]); err == nil {
			t.Errorf("we take %s changed", whose)
		}
		if _, err := p.decrypt(t, to[0], changed); err == nil {
			t.Errorf("the peer takes %s changed", whose)
		}
	}
}

func parties(ca *testca.CA) (out []*party) {
	for i, kind := range kinds {
		out = append(out, newParty(ca, []string{"alice", "bob", "carol", "dave"}[i], kind))
	}
	return out
}

// crowd is n people. All but the first and the last, who are tried, have one
// key between them: making a hundred takes longer than the test.
func crowd(ca *testca.CA, kind testca.Kind, n int) (out []*party) {
	for i := range n {
		name := fmt.Sprintf("person%d", i)
		if i == 0 || i == n-1 {
			out = append(out, newParty(ca, name, kind))
			continue
		}
		email := name + "@example.com"
		out = append(out, &party{name: name, email: email, kind: kind, ca: ca,
			leaf: ca.Leaf("crowd@example.com", kind, validNow(), testca.Emails(email))})
	}
	return out
}
