package interop

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/testca"
)

// run runs a peer's program in dir and returns its standard output.
func run(t testing.TB, dir, name string, args ...string) []byte {
	t.Helper()
	out, err := call(t, dir, nil, []string{"LC_ALL=C.UTF-8"}, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The passphrase is beyond ASCII and beyond the Basic Multilingual Plane.
const pkcs12Passphrase = "Zürich € 🔑"

func askPKCS12() ([]byte, error) { return []byte(pkcs12Passphrase), nil }

func pkcs12Kinds() map[string]testca.Kind {
	return map[string]testca.Kind{
		"RSA-2048": testca.RSA2048, "RSA-3072": testca.RSA3072,
		"P-256": testca.P256, "P-384": testca.P384, "Ed25519": testca.Ed25519,
	}
}

func exportPKCS12(t *testing.T, leaf *testca.Leaf, pass string, o *identity.PKCS12Options) []byte {
	t.Helper()
	id := &identity.Identity{Key: leaf.Key, Certificate: leaf.Certificate, Chain: leaf.Chain, Label: "Alice Å"}
	data, err := identity.EncodePKCS12([]*identity.Identity{id}, []byte(pass), o)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// expectIdentity checks that data holds exactly the leaf and its chain.
func expectIdentity(t *testing.T, data []byte, ask func() ([]byte, error), leaf *testca.Leaf) {
	t.Helper()
	ids, err := identity.Read(data, ask)
	if err != nil {
		t.Fatal(err)
	}
	if len(ids) != 1 || !ids[0].Certificate.Equal(leaf.Certificate) {
		t.Fatalf("%d identities, certificate %v", len(ids), ids[0].Certificate)
	}
	if !leaf.Key.(interface{ Equal(crypto.PrivateKey) bool }).Equal(ids[0].Key) {
		t.Error("another key")
	}
	if len(ids[0].Chain) != len(leaf.Chain) {
		t.Errorf("chain of %d, want %d", len(ids[0].Chain), len(leaf.Chain))
	}
}

func TestPKCS12ToOpenSSL(t *testing.T) {
	t.Parallel()
	tool(t, "openssl", "openssl")
	ca := testca.New(t)
	options := map[string]*identity.PKCS12Options{
		"default":            nil,
		"generated":          {Iterations: identity.GeneratedIterations},
		"compatible":         {Iterations: 2048, Compatible: true},
		"plain certificates": {Iterations: 2048, PlainCertificates: true},
	}
	for kindName, kind := range pkcs12Kinds() {
		leaf := ca.Leaf("alice@example.com", kind)
		for name, o := range options {
			t.Run(kindName+"/"+name, func(t *testing.T) {
				dir := t.TempDir()
				put(t, dir, "ours.p12", exportPKCS12(t, leaf, pkcs12Passphrase, o))
				out := run(t, dir, "openssl", "pkcs12", "-in", "ours.p12", "-nodes", "-passin", "pass:"+pkcs12Passphrase)
				expectIdentity(t, out, nil, leaf)
			})
		}
	}
}

// OpenSSL 3.4 is the first to read PBMAC1.
func TestPBMAC1ToOpenSSL(t *testing.T) {
	tool(t, "openssl", "openssl")
	help, _ := exec.Command("openssl", "pkcs12", "-help").CombinedOutput()
	if !bytes.Contains(help, []byte("-pbmac1_pbkdf2")) {
		t.Skip("this openssl is older than PBMAC1; the vectors of RFC 9879 are in package identity")
	}
	leaf := testca.New(t).Leaf("alice@example.com", testca.P256)
	dir := t.TempDir()
	put(t, dir, "ours.p12", exportPKCS12(t, leaf, pkcs12Passphrase, &identity.PKCS12Options{PBMAC1: true}))
	expectIdentity(t, run(t, dir, "openssl", "pkcs12", "-in", "ours.p12", "-nodes", "-passin", "pass:"+pkcs12Passphrase), nil, leaf)
}

func TestPKCS12FromOpenSSL(t *testing.T) {
	t.Parallel()
	tool(t, "openssl", "openssl")
	ca := testca.New(t)
	variants := map[string][]string{
		"default":        nil,
		"legacy":         {"-legacy"}, // RC2-40 around the certificates
		"RC2-128":        {"-legacy", "-certpbe", "PBE-SHA1-RC2-128", "-keypbe", "PBE-SHA1-2DES"},
		"RC4":            {"-legacy", "-certpbe", "PBE-SHA1-RC4-40", "-keypbe", "PBE-SHA1-RC4-128"},
		"PBES1":          {"-legacy", "-certpbe", "PBE-MD5-DES", "-keypbe", "PBE-SHA1-DES"},
		"PBES1 RC2":      {"-legacy", "-certpbe", "PBE-MD5-RC2-64", "-keypbe", "PBE-SHA1-RC2-64"},
		"3DES, SHA-1":    {"-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1"},
		"PBES2 AES-128":  {"-certpbe", "AES-128-CBC", "-keypbe", "AES-192-CBC", "-macalg", "sha384"},
		"PBES2 3DES":     {"-certpbe", "DES-EDE3-CBC", "-keypbe", "DES-EDE3-CBC", "-macalg", "sha512"},
		"plain":          {"-certpbe", "NONE", "-keypbe", "NONE"},
		"one iteration":  {"-iter", "1", "-nomaciter"},
		"600,000":        {"-iter", "600000"},
		"no MAC":         {"-nomac"},
		"MAC of SHA-224": {"-macalg", "sha224"},
	}
	for kindName, kind := range pkcs12Kinds() {
		leaf := ca.Leaf("alice@example.com", kind)
		key, err := identity.MarshalPrivateKey(leaf.Key)
		if err != nil {
			t.Fatal(err)
		}
		for name, args := range variants {
			if kind != testca.P256 && name != "default" && name != "legacy" {
				continue // the encryption does not depend on the key
			}
			t.Run(kindName+"/"+name, func(t *testing.T) {
				dir := t.TempDir()
				put(t, dir, "key.der", key)
				run(t, dir, "openssl", "pkey", "-inform", "DER", "-in", "key.der", "-out", "key.pem")
				put(t, dir, "leaf.pem", leaf.Certificate.PEM())
				put(t, dir, "chain.pem", leaf.Chain[0].PEM())
				run(t, dir, "openssl", append([]string{"pkcs12", "-export", "-inkey", "key.pem", "-in", "leaf.pem", "-certfile", "chain.pem",
					"-name", "Alice", "-out", "theirs.p12", "-passout", "pass:" + pkcs12Passphrase}, args...)...)
				data := get(t, filepath.Join(dir, "theirs.p12"))
				if name == "no MAC" {
					if _, err := identity.Read(data, askPKCS12); !errors.Is(err, identity.ErrNoMAC) {
						t.Errorf("without a MAC: %v", err)
					}
				} else {
					expectIdentity(t, data, askPKCS12, leaf)
				}
				p, err := identity.DecodePKCS12(data, askPKCS12)
				if err != nil || p.Authenticated == (name == "no MAC") || p.Identities[0].Label != "Alice" {
					t.Errorf("authenticated %v, label %q, %v", p.Authenticated, p.Identities[0].Label, err)
				}
			})
		}
	}
}

// Keystores of Java: several keys with their names in one file, in the form of
// today, in the one before JDK 8u301, and with nothing protected at all.
func TestPKCS12FromJava(t *testing.T) {
	t.Parallel()
	keytool := tool(t, "keytool", "default-jdk-headless")
	for name, tt := range map[string]struct {
		options []string
		noMAC   bool
	}{
		"today":  {},
		"legacy": {options: []string{"-J-Dkeystore.pkcs12.legacy"}},
		"plain": {options: []string{"-J-Dkeystore.pkcs12.certProtectionAlgorithm=NONE", "-J-Dkeystore.pkcs12.macAlgorithm=NONE"},
			noMAC: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for alias, key := range map[string][]string{"signs": {"-keyalg", "EC", "-groupname", "secp384r1"}, "opens": {"-keyalg", "RSA", "-keysize", "2048"}} {
				args := append([]string{"-genkeypair", "-alias", alias, "-dname", "CN=" + alias, "-storetype", "PKCS12",
					"-keystore", "theirs.p12", "-storepass", "passphrase"}, key...)
				run(t, dir, keytool, append(args, tt.options...)...)
			}
			data := get(t, filepath.Join(dir, "theirs.p12"))
			ask := func() ([]byte, error) { return []byte("passphrase"), nil }
			if _, err := identity.Read(data, ask); tt.noMAC != errors.Is(err, identity.ErrNoMAC) || !tt.noMAC && err != nil {
				t.Fatal(err)
			}
			p, err := identity.DecodePKCS12(data, ask)
			if err != nil || len(p.Identities) != 2 || len(p.Skipped) != 0 {
				t.Fatalf("%+v, %v", p, err)
			}
			for _, id := range p.Identities {
				if id.Certificate == nil || id.Certificate.Subject.String() != "CN="+id.Label {
					t.Errorf("%q has the certificate %v", id.Label, id.Certificate)
				}
			}
		})
	}
}

// What gpgsm exports, after it imported ours.
func TestPKCS12FromGPGSM(t *testing.T) {
	t.Parallel()
	tool(t, "gpgsm", "gpgsm")
	ca := testca.New(t)
	leaf := ca.Leaf("alice@example.com", testca.RSA2048)
	g := newGPGSM(t, ca, []*party{{name: "alice", kind: testca.RSA2048, leaf: leaf}})
	var ids []*identity.Identity
	var err error
	for range 3 {
		out := g.must(t, []byte("passphrase\n"), "--pinentry-mode", "loopback", "--passphrase-fd", "0",
			"--export-secret-key-p12", "alice@example.com")
		ids, err = identity.Read(out, func() ([]byte, error) { return []byte("passphrase"), nil })
		if err == nil || opensslReads(t, out, "passphrase") {
			break
		}
		// One salt in 128 makes gpgsm derive another key than everybody else
		// (internal/pbe/gnupg.go): nobody opens such a file.
		t.Logf("neither we nor OpenSSL read what gpgsm wrote: %v", err)
	}
	if err != nil || len(ids) != 1 || !ids[0].Certificate.Equal(leaf.Certificate) {
		t.Fatalf("%+v, %v", ids, err)
	}
	// GnuPG exchanges the primes, so crypto/rsa calls it another key.
	digest := make([]byte, 32)
	sig, err := ids[0].Key.(crypto.Signer).Sign(nil, digest, crypto.SHA256)
	if err != nil || rsa.VerifyPKCS1v15(leaf.Signer().Public().(*rsa.PublicKey), crypto.SHA256, digest, sig) != nil {
		t.Errorf("the key does not sign: %v", err)
	}
}

// opensslReads tells whether OpenSSL opens a PKCS #12 file, key and all.
func opensslReads(t *testing.T, file []byte, passphrase string) bool {
	t.Helper()
	path := filepath.Join(t.TempDir(), "theirs.p12")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(t.Context(), tool(t, "openssl", "openssl"), "pkcs12", "-legacy", "-in", path,
		"-nodes", "-out", os.DevNull, "-passin", "pass:"+passphrase).Run() == nil
}

func TestPKCS8OpenSSL(t *testing.T) {
	tool(t, "openssl", "openssl")
	ca := testca.New(t)
	for name, kind := range pkcs12Kinds() {
		leaf := ca.Leaf("alice@example.com", kind)
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			key, err := identity.MarshalPrivateKey(leaf.Key)
			if err != nil {
				t.Fatal(err)
			}
			put(t, dir, "key.der", key)
			for _, args := range [][]string{
				{"-v2", "aes-256-cbc"}, {"-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"}, {"-v2", "des3"}, {"-scrypt"},
				{"-v1", "PBE-SHA1-3DES"},
			} {
				run(t, dir, "openssl", append([]string{"pkcs8", "-topk8", "-inform", "DER", "-in", "key.der",
					"-out", "theirs.pem", "-passout", "pass:" + pkcs12Passphrase}, args...)...)
				ids, err := identity.Read(get(t, filepath.Join(dir, "theirs.pem")), askPKCS12)
				if err != nil {
					t.Fatalf("%v: %v", args, err)
				}
				if !leaf.Key.(interface{ Equal(crypto.PrivateKey) bool }).Equal(ids[0].Key) {
					t.Errorf("%v: another key", args)
				}
			}
		})
	}
}

// NSS imports what we write and we read what it exports. Debian 12's NSS knows
// no PBMAC1.
func TestPKCS12NSS(t *testing.T) {
	t.Parallel()
	tool(t, "pk12util", "libnss3-tools")
	ca := testca.New(t)
	for kindName, kind := range map[string]testca.Kind{"RSA-2048": testca.RSA2048, "P-256": testca.P256} {
		leaf := ca.Leaf("alice@example.com", kind)
		exports := [][]string{nil}
		if kind == testca.P256 { // the encryption does not depend on the key
			exports = append(exports, []string{"-C", "PKCS #12 V2 PBE With SHA-1 And 40 Bit RC2 CBC"}, []string{"-c", "AES-128-CBC", "-C", "none", "-M", "SHA-512"})
		}
		for name, o := range map[string]*identity.PKCS12Options{
			"default":    nil,
			"compatible": {Iterations: 2048, Compatible: true},
		} {
			t.Run(kindName+"/"+name, func(t *testing.T) {
				dir := t.TempDir()
				run(t, dir, "certutil", "-N", "-d", "sql:"+dir, "--empty-password")
				put(t, dir, "ours.p12", exportPKCS12(t, leaf, pkcs12Passphrase, o))
				put(t, dir, "pass", []byte(pkcs12Passphrase))
				run(t, dir, "pk12util", "-d", "sql:"+dir, "-i", "ours.p12", "-w", "pass")
				for _, args := range exports {
					run(t, dir, "pk12util", append([]string{"-d", "sql:" + dir, "-o", "theirs.p12", "-n", "Alice Å", "-w", "pass"}, args...)...)
					expectIdentity(t, get(t, filepath.Join(dir, "theirs.p12")), askPKCS12, leaf)
				}
			})
		}
	}
}
