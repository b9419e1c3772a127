package vectors

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
)

// Wycheproof is one file of that project. Each schema fills some of the fields.
type Wycheproof struct {
	Schema        string
	NumberOfTests int
	TestGroups    []Group
}

// Group is a set of tests under one key or one set of parameters.
type Group struct {
	Type              string
	Curve             string
	Sha, MgfSha       string
	KeySize           int // bits, as TagSize and IvSize
	TagSize           int
	IvSize            int
	SLen              int
	PublicKeyDer      Hex
	PrivateKeyPkcs8   Hex
	Tests             []Test
	PublicKey, KeyJwk json.RawMessage
}

// Test is one case.
type Test struct {
	TcID           int `json:"tcId"`
	Comment        string
	Flags          []string
	Result         string
	Msg, Sig, Ct   Hex
	Ctx, Label     Hex
	Key, Iv, Aad   Hex
	Tag            Hex
	Public         Hex
	Private        Hex
	Shared         Hex
	Ikm, Salt      Hex
	Info, Okm      Hex
	Size           int
	Password       Hex
	IterationCount int
	Seed, Ek, C, K Hex
	Dk             Hex
}

// Hex is octets, which the files have in hexadecimal.
type Hex []byte

// UnmarshalJSON implements json.Unmarshaler.
func (h *Hex) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		return nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	var err error
	*h, err = hex.DecodeString(s)
	return err
}

// Judge returns nil when what came of a test is what its file expects: got with
// a nil error for a valid one, an error for an invalid one, and either for one
// that is "acceptable".
func (c *Test) Judge(got, want []byte, err error) error {
	switch {
	case c.Result == "invalid" && err == nil:
		return fmt.Errorf("%s %v: taken, and is invalid", c.Comment, c.Flags)
	case c.Result == "valid" && err != nil:
		return fmt.Errorf("%s %v: %w", c.Comment, c.Flags, err)
	case err == nil && !bytes.Equal(got, want):
		return fmt.Errorf("%s %v: got %x, want %x", c.Comment, c.Flags, got, want)
	}
	return nil
}

var errNone = errors.New("no test in the file")

// RunWycheproof checks every test of a file of the set.
func RunWycheproof(t testing.TB, s *Suite, file string, run func(g *Group, c *Test) error) {
	t.Helper()
	var w Wycheproof
	if err := json.Unmarshal(Read(t, Dir(t, "wycheproof/testvectors_v1"), file), &w); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	n := 0
	for i := range w.TestGroups {
		g := &w.TestGroups[i]
		for j := range g.Tests {
			n++
			s.Check(fmt.Sprintf("%s/%d", file, g.Tests[j].TcID), run(g, &g.Tests[j]))
		}
	}
	if n == 0 || n != w.NumberOfTests {
		s.Check(file, fmt.Errorf("%w: %d, want %d", errNone, n, w.NumberOfTests))
	}
}

func count(n int) string {
	if n == 1 {
		return "1 case"
	}
	return fmt.Sprintf("%d cases", n)
}

// WycheproofOf names the files that a package runs in its own tests: what they
// are about is not exported.
func WycheproofOf(room string) []string {
	switch room {
	case "cms":
		return []string{
			"aes_cbc_pkcs5_test.json", "aes_kwp_test.json", "aes_wrap_test.json", "chacha20_poly1305_test.json",
			"rsa_oaep_2048_sha1_mgf1sha1_test.json", "rsa_oaep_2048_sha256_mgf1sha1_test.json",
			"rsa_oaep_2048_sha256_mgf1sha256_test.json", "rsa_oaep_misc_test.json",
			"rsa_pkcs1_2048_test.json", "rsa_pkcs1_3072_test.json", "rsa_pkcs1_4096_test.json",
		}
	case "internal/pbe":
		return []string{"pbes2_hmacsha1_aes_128_test.json", "pbes2_hmacsha256_aes_256_test.json"}
	}
	return nil
}
