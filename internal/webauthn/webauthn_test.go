package webauthn_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/internal/webauthn"
	"github.com/mailseal/mailseal/internal/webauthn/softkey"
)

const origin = "https://ca.example.org"

var (
	site      = webauthn.Site{ID: "ca.example.org", Name: "mailseal", Origins: []string{origin}}
	user      = webauthn.User{Handle: []byte("account-1"), Name: "alice@example.org", Shown: "Alice"}
	challenge = bytes.Repeat([]byte{7}, 32)
)

func options(t testing.TB) (creation, request []byte) {
	t.Helper()
	creation, err := site.Creation(challenge, user, [][]byte{{1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	if request, err = site.Request(challenge); err != nil {
		t.Fatal(err)
	}
	return creation, request
}

func made(t testing.TB) (*softkey.Key, webauthn.Key) {
	t.Helper()
	creation, _ := options(t)
	soft, err := softkey.New(origin, creation)
	if err != nil {
		t.Fatal(err)
	}
	key, err := site.Register(soft.Create(creation), challenge)
	if err != nil {
		t.Fatal(err)
	}
	return soft, key
}

// Every algorithm that is offered signs in, and the counter is passed on.
func TestPasskey(t *testing.T) {
	p256, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, ed, err2 := ed25519.GenerateKey(rand.Reader)
	r, err3 := rsa.GenerateKey(rand.Reader, 2048)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	creation, request := options(t)
	for name, signer := range map[string]crypto.Signer{"ES256": p256, "EdDSA": ed, "RS256": r} {
		soft, err := softkey.New(origin, creation)
		if err != nil {
			t.Fatal(err)
		}
		soft.Signer = signer
		key, err := site.Register(soft.Create(creation), challenge)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		answer := soft.Sign(request)
		if got, err := webauthn.Challenge(answer); err != nil || !bytes.Equal(got, challenge) {
			t.Errorf("%s: challenge %x, %v", name, got, err)
		}
		count, err := site.Authenticate(answer, challenge, key, user.Handle)
		if err != nil || count != 1 {
			t.Errorf("%s: counter %d, %v", name, count, err)
		}
	}
}

func TestSignInRefused(t *testing.T) {
	_, request := options(t)
	for name, test := range map[string]struct {
		change func(*softkey.Key)
		want   error
	}{
		"another origin":    {func(k *softkey.Key) { k.Origin = "https://evil.example" }, webauthn.ErrOrigin},
		"plain http":        {func(k *softkey.Key) { k.Origin = "http://ca.example.org" }, webauthn.ErrOrigin},
		"in a foreign page": {func(k *softkey.Key) { k.Cross = true }, webauthn.ErrOrigin},
		"another site":      {func(k *softkey.Key) { k.Site = "evil.example" }, webauthn.ErrOrigin},
		"nobody there":      {func(k *softkey.Key) { k.Flags = softkey.Verified }, webauthn.ErrUser},
		"not verified":      {func(k *softkey.Key) { k.Flags = softkey.Present }, webauthn.ErrUser},
		"another user":      {func(k *softkey.Key) { k.Handle = []byte("account-2") }, webauthn.ErrSignature},
		"no user":           {func(k *softkey.Key) { k.Handle = nil }, webauthn.ErrSignature},
		"another id":        {func(k *softkey.Key) { k.ID = []byte("other") }, webauthn.ErrMalformed},
		"another key": {func(k *softkey.Key) { k.Signer, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
			webauthn.ErrSignature},
		"a key of another kind": {func(k *softkey.Key) { _, k.Signer, _ = ed25519.GenerateKey(rand.Reader) }, webauthn.ErrSignature},
	} {
		soft, key := made(t)
		test.change(soft)
		if _, err := site.Authenticate(soft.Sign(request), challenge, key, user.Handle); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	soft, key := made(t)
	if _, err := site.Authenticate(soft.Sign(request), bytes.Repeat([]byte{8}, 32), key, user.Handle); !errors.Is(err, webauthn.ErrChallenge) {
		t.Errorf("another challenge: %v", err)
	}
	creation, _ := options(t)
	if _, err := site.Authenticate(soft.Create(creation), challenge, key, user.Handle); err == nil {
		t.Error("the answer of a registration signed in")
	}
}

// A counter that stands still or goes back tells of a copy; one that is always
// zero tells nothing.
func TestCounter(t *testing.T) {
	soft, key := made(t)
	_, request := options(t)
	for _, test := range []struct {
		stored, next uint32
		want         error
	}{{0, 0, nil}, {0, 1, nil}, {5, 6, nil}, {5, 5, webauthn.ErrCounter}, {5, 4, webauthn.ErrCounter}, {5, 0, webauthn.ErrCounter}} {
		key.Count, soft.Count = test.stored, test.next-1
		if _, err := site.Authenticate(soft.Sign(request), challenge, key, user.Handle); !errors.Is(err, test.want) {
			t.Errorf("stored %d, then %d: %v", test.stored, test.next, err)
		}
	}
}

func TestRegistrationRefused(t *testing.T) {
	creation, _ := options(t)
	for name, test := range map[string]struct {
		change func(*softkey.Key)
		want   error
	}{
		"another origin": {func(k *softkey.Key) { k.Origin = origin + ".evil.example" }, webauthn.ErrOrigin},
		"another site":   {func(k *softkey.Key) { k.Site = "example.org" }, webauthn.ErrOrigin},
		"not verified":   {func(k *softkey.Key) { k.Flags = softkey.Present }, webauthn.ErrUser},
		"no id":          {func(k *softkey.Key) { k.ID = nil }, webauthn.ErrMalformed},
		"a huge id":      {func(k *softkey.Key) { k.ID = make([]byte, 1024) }, webauthn.ErrMalformed},
	} {
		soft, err := softkey.New(origin, creation)
		if err != nil {
			t.Fatal(err)
		}
		test.change(soft)
		if _, err := site.Register(soft.Create(creation), challenge); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	soft, _ := softkey.New(origin, creation)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err == nil {
		soft.Signer = small
		if _, err := site.Register(soft.Create(creation), challenge); err == nil {
			t.Error("a key of 1024 bits was taken")
		}
	}
	big := []byte(`{"type":"public-key","id":"` + strings.Repeat("A", webauthn.MaxResponse) + `"}`)
	if _, err := site.Register(big, challenge); !errors.Is(err, webauthn.ErrMalformed) {
		t.Errorf("too large: %v", err)
	}
}

// Every octet of an answer counts: with any of them changed nothing is accepted
// that says something else.
func TestEveryOctet(t *testing.T) {
	soft, key := made(t)
	_, request := options(t)
	var answer struct {
		ID, RawID, Type string
		Response        map[string]string
	}
	if err := json.Unmarshal(soft.Sign(request), &answer); err != nil {
		t.Fatal(err)
	}
	for field, value := range answer.Response {
		for i := range value {
			changed := []byte(value)
			if changed[i]++; changed[i] == '{' || changed[i] == ':' {
				changed[i] = 'a'
			}
			answer.Response[field] = string(changed)
			raw, err := json.Marshal(map[string]any{"rawId": answer.RawID, "type": "public-key", "response": answer.Response})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := site.Authenticate(raw, challenge, key, user.Handle); err == nil {
				t.Errorf("%s with octet %d changed was accepted", field, i)
			}
		}
		answer.Response[field] = value
	}
}

func TestOptions(t *testing.T) {
	creation, request := options(t)
	for _, want := range []string{`"id":"ca.example.org"`, `"userVerification":"required"`, `"residentKey":"required"`, `"attestation":"none"`, `"id":"AQID"`, `"alg":-7`} {
		if !strings.Contains(string(creation), want) {
			t.Errorf("creation without %s: %s", want, creation)
		}
	}
	if !strings.Contains(string(request), `"rpId":"ca.example.org"`) {
		t.Errorf("request: %s", request)
	}
	if _, err := site.Request(challenge[:15]); err == nil {
		t.Error("a short challenge was taken")
	}
	if _, err := site.Creation(challenge, webauthn.User{Handle: make([]byte, 65)}, nil); err == nil {
		t.Error("a long handle was taken")
	}
}

func FuzzRegister(f *testing.F) {
	creation, _ := options(f)
	soft, err := softkey.New(origin, creation)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(soft.Create(creation))
	f.Fuzz(func(t *testing.T, raw []byte) {
		key, err := site.Register(raw, challenge)
		if err == nil && (len(key.ID) == 0 || len(key.PublicKey) == 0) {
			t.Errorf("accepted without a key: %+v", key)
		}
	})
}

func FuzzAuthenticate(f *testing.F) {
	soft, key := made(f)
	_, request := options(f)
	good := soft.Sign(request)
	f.Add(good)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := site.Authenticate(raw, challenge, key, user.Handle); err == nil && len(raw) < len(good)/2 {
			t.Errorf("accepted: %q", raw)
		}
	})
}
