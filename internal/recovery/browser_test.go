package recovery_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/testca"
)

// script runs the portal's modules, which are WebCrypto alone, as a browser does:
// body is what to do with the value in, and its result is written into out.
func script(t *testing.T, body string, in, out any) error {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs node (scripts/test-deps installs it)")
		}
		t.Skip("needs node (scripts/test-deps installs it)")
	}
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(node, "--no-warnings", "--input-type=module", "--eval", `
		import { readFileSync } from "node:fs";
		import { seal } from "./seal.js";
		import { openBundle } from "./unseal.js";
		import { openPKCS12, Unopened } from "./openpkcs12.js";
		import { encrypts } from "./envelope.js";
		import { fromBase64, toBase64 } from "./der.js";
		const input = JSON.parse(readFileSync(0));
		const output = await (async () => {`+body+`})();
		process.stdout.write(JSON.stringify(output));`)
	c.Dir = "../portal/web/src"
	c.Stdin = bytes.NewReader(data)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	answer, err := c.Output()
	if err != nil {
		return errors.New(stderr.String())
	}
	return json.Unmarshal(answer, out)
}

// sealed is a key that a browser made.
type sealed struct {
	Key  []byte          `json:"key"` // PKCS #8
	File json.RawMessage `json:"file"`
}

func sealHere(t *testing.T, algorithm string, k *recovery.Keepers) (s sealed, err error) {
	t.Helper()
	err = script(t, `
		const keys = await crypto.subtle.generateKey(`+algorithm+`, true, ["sign", "verify"]);
		return { key: toBase64(new Uint8Array(await crypto.subtle.exportKey("pkcs8", keys.privateKey))), file: await seal(keys, input) };`, k, &s)
	return s, err
}

// A key that the page makes and seals comes back from any two of the officers,
// whatever keys those have, in the program and in the page.
func TestSealedInBrowser(t *testing.T) {
	o := open(t)
	for name, kind := range map[string]testca.Kind{"ana": testca.RSA2048, "ben": testca.P384, "chie": testca.P521, "eve": testca.X25519, "dan": testca.RSA2048, "alice": testca.P256} {
		o.keys[name] = o.ca.Leaf(name+"@example.org", kind, testca.KeyUsage(x509.KeyUsageKeyAgreement|x509.KeyUsageKeyEncipherment))
	}
	o.officers(t, 2, "ana", "ben", "chie", "eve", "fumi")
	for _, c := range []struct {
		algorithm, recipient string
		officers             []string
	}{
		{`{ name: "ECDSA", namedCurve: "P-256" }`, "dan", []string{"eve", "ana"}},
		{`{ name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) }`, "alice", []string{"ben", "chie"}},
	} {
		k, err := o.Keepers(t.Context(), org)
		if err != nil || len(k.Officers) != 5 || k.Officers[0].Account != "ana <ana@example.org>" {
			t.Fatal(k, err)
		}
		s, err := sealHere(t, c.algorithm, k)
		if err != nil {
			t.Fatal(err)
		}
		key, err := identity.ParsePrivateKey(s.Key)
		if err != nil {
			t.Fatal(err)
		}
		o.update(t, func(tx *store.Tx) error {
			return o.Keep(t.Context(), tx, registration.Keeping{Organization: org, Person: "p-alice", Order: "o" + c.recipient, Key: identity.Public(key), Sealed: s.File})
		})
		usage := x509.KeyUsageKeyAgreement
		if _, is := key.(*ecdsa.PrivateKey); !is {
			usage = x509.KeyUsageKeyEncipherment
		}
		leaf := o.ca.Leaf("alice-"+c.recipient+"@example.org", testca.P256, testca.KeyUsage(usage), testca.Emails("alice@example.org"))
		leaf.Key, leaf.Certificate = key, o.ca.Issuing.Rekey(leaf.Certificate, identity.Public(key))
		o.certify(t, leaf)
		who := o.actor(t, "dan")
		if c.recipient == "alice" {
			who = person("alice")
		}
		keys, err := o.Keys(t.Context(), who, org, "p-alice")
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(keys, func(k recovery.Key) bool { return k.Key == hex.EncodeToString(keyHash(t, leaf)) })
		r := o.ask(t, who, c.recipient, keys[i].ID)
		for _, name := range c.officers {
			if err := o.answer(t, name, recovery.Release, r.ID); err != nil {
				t.Fatal(err)
			}
		}
		b, err := o.Release(t.Context(), who, org, r.ID)
		if err != nil {
			t.Fatal(err)
		}
		if ids, err := b.Open(o.with(c.recipient)); err != nil || !opens(ids, leaf) {
			t.Errorf("%s: %v, %v", c.recipient, ids, err)
		}
		own, err := identity.MarshalPrivateKey(o.keys[c.recipient].Key)
		if err != nil {
			t.Fatal(err)
		}
		var got [][]byte
		err = script(t, `
			const identities = [{ pkcs8: fromBase64(input.key), certificate: fromBase64(input.bundle.recipient) }];
			return (await openBundle(input.bundle, identities)).map(({ pkcs8 }) => toBase64(pkcs8));`, map[string]any{"bundle": b, "key": own}, &got)
		if err != nil || len(got) != 1 || !bytes.Equal(got[0], s.Key) {
			t.Errorf("%s: the page opens %d keys: %v", c.recipient, len(got), err)
		}
		b.Keys[0].Shares[1].Envelope = b.Keys[0].Shares[0].Envelope
		if err := script(t, `return openBundle(input.bundle, [{ pkcs8: fromBase64(input.key), certificate: fromBase64(input.bundle.recipient) }]);`,
			map[string]any{"bundle": b, "key": own}, &got); err == nil {
			t.Error("the page takes one share for two")
		}
	}
}

// What a page brings is held against the certification request, and the one key
// of an order is the last one it brought.
func TestKeep(t *testing.T) {
	o := open(t)
	q := o.officers(t, 2, "ana", "ben", "chie")
	keep := func(order string, key crypto.PublicKey, file []byte) error {
		return o.db.Update(t.Context(), func(tx *store.Tx) error {
			return o.Keep(t.Context(), tx, registration.Keeping{Organization: org, Person: "p-alice", Order: order, Key: key, Sealed: file})
		})
	}
	one, two := o.ca.Leaf("1@example.org", testca.P256), o.ca.Leaf("2@example.org", testca.P256)
	file := func(l *testca.Leaf) []byte {
		s, err := q.Seal(rand.Reader, l.Key)
		if err != nil {
			t.Fatal(err)
		}
		data, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	good := file(one)
	for name, bad := range map[string][]byte{
		"nothing": nil, "no JSON": []byte("x"), "another's key": file(two), "something behind": append(bytes.Clone(good), "{}"...),
		"another format": bytes.Replace(good, []byte("sealed key 1"), []byte("sealed key 2"), 1),
		"a share twice":  bytes.Replace(good, []byte(`"position":2`), []byte(`"position":1`), 1),
		"too large":      append(bytes.Clone(good), bytes.Repeat([]byte(" "), recovery.MaxEnrolment)...),
	} {
		if _, is := errors.AsType[*registration.InputError](keep("order", identity.Public(one.Key), bad)); !is {
			t.Errorf("%s was taken", name)
		}
	}
	for _, l := range []*testca.Leaf{one, two} { // whoever reloads the page makes another key
		if err := keep("order", identity.Public(l.Key), file(l)); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := o.Keys(t.Context(), o.actor(t, "dan"), org, "p-alice")
	spki, _ := cert.MarshalPublicKey(identity.Public(two.Key))
	if err != nil || len(keys) != 1 || !bytes.Equal(spki, two.Certificate.RawSPKI) {
		t.Fatalf("%d keys are kept: %v", len(keys), err)
	}
	three := o.escrow(t, "alice", "alice-3", testca.P256)
	r := o.ask(t, o.actor(t, "dan"), "dan")
	if len(r.Keys) != 1 {
		t.Errorf("asked for %v: a key without a certificate is in the way", r.Keys)
	}
	if err := keep("order", identity.Public(three.leaf.Key), file(three.leaf)); err == nil {
		t.Error("a key is kept twice")
	}
}

// Officers' keys that no browser can encrypt to are named as such.
func TestBrowserCannotSeal(t *testing.T) {
	o := open(t)
	o.keys["ana"] = o.ca.Leaf("ana@example.org", testca.MLKEM768, testca.KeyUsage(x509.KeyUsageKeyEncipherment))
	o.officers(t, 2, "ana", "ben", "chie")
	k, err := o.Keepers(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sealHere(t, `{ name: "ECDSA", namedCurve: "P-256" }`, k); err == nil || !bytes.Contains([]byte(err.Error()), []byte("cannot encrypt to")) {
		t.Error(err)
	}
}

// The page opens the files that this server makes, in every form that browsers
// have the ciphers for, and says of others and of wrong passphrases what is wrong.
func TestFilesInBrowser(t *testing.T) {
	ca := testca.New(t)
	signing := ca.Leaf("a@example.org", testca.P256, testca.KeyUsage(x509.KeyUsageDigitalSignature))
	encryption := ca.Leaf("a@example.org", testca.RSA2048, testca.KeyUsage(x509.KeyUsageKeyEncipherment))
	var ids []*identity.Identity
	for _, l := range []*testca.Leaf{signing, encryption} {
		ids = append(ids, &identity.Identity{Key: l.Key, Certificate: l.Certificate, Chain: []*cert.Certificate{ca.Issuing.Certificate}, Label: "鍵"})
	}
	type result struct {
		Kind         string   `json:"kind"`
		Keys         [][]byte `json:"keys"`
		Certificates [][]byte `json:"certificates"`
		Encrypts     []bool   `json:"encrypts"`
		Others       int      `json:"others"`
	}
	files := map[string][]byte{}
	want := map[string]string{"nonsense": "form", "empty": "form", "cut": "form", "changed": "form"}
	for client, kind := range map[string]string{"any": "", "ios": "form", "android": "form"} {
		form, known := identity.PKCS12FormFor(client)
		if !known {
			t.Fatal(client)
		}
		o := form.Options
		o.Iterations = 1000
		file, err := identity.EncodePKCS12(ids, []byte("some words here"), &o)
		if err != nil {
			t.Fatal(err)
		}
		files[client], want[client] = file, kind
	}
	files["nonsense"], files["empty"], files["cut"] = []byte("nonsense"), nil, files["any"][:200]
	files["changed"] = append(bytes.Clone(files["any"]), 0)
	var got map[string]map[string]result
	err := script(t, `
		const all = { right: {}, wrong: {} };
		for (const [name, file] of Object.entries(input)) for (const [which, words] of [["right", "some words here"], ["wrong", "others"]]) {
			try {
				const { identities, others } = await openPKCS12(fromBase64(file ?? ""), words);
				all[which][name] = {
					keys: identities.map(({ pkcs8 }) => toBase64(pkcs8)), certificates: identities.map(({ certificate }) => toBase64(certificate)),
					encrypts: identities.map(({ certificate }) => encrypts(certificate)), others: others.length,
				};
			} catch (error) {
				all[which][name] = { kind: error instanceof Unopened ? error.kind : String(error) };
			}
		}
		return all;`, files, &got)
	if err != nil {
		t.Fatal(err)
	}
	for name, kind := range want {
		right, wrong := got["right"][name], got["wrong"][name]
		if right.Kind != kind || kind == "form" && wrong.Kind != "form" || kind == "" && wrong.Kind != "passphrase" {
			t.Errorf("%s: %q, with a wrong passphrase %q", name, right.Kind, wrong.Kind)
		}
		if kind != "" {
			continue
		}
		if len(right.Keys) != 2 || right.Others != 1 {
			t.Errorf("%s: %d keys, %d other certificates", name, len(right.Keys), right.Others)
			continue
		}
		for i, id := range ids {
			der, err := identity.MarshalPrivateKey(id.Key)
			if err != nil {
				t.Fatal(err)
			}
			at := slices.IndexFunc(right.Certificates, func(c []byte) bool { return bytes.Equal(c, id.Certificate.Raw) })
			if at < 0 || !bytes.Equal(right.Keys[at], der) || right.Encrypts[at] != (i == 1) {
				t.Errorf("%s: key %d is another, or for another use", name, i)
			}
		}
	}
}

// A page that lied and sealed another key than the one that was certified: what
// comes out is not passed off as that one, by the program or by the page.
func TestAnotherKeySealed(t *testing.T) {
	o := open(t)
	o.officers(t, 2, "ana", "ben", "chie")
	k, err := o.Keepers(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	var s sealed
	err = script(t, `
		const make = () => crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
		const [shown, other] = [await make(), await make()];
		const file = await seal({ publicKey: shown.publicKey, privateKey: other.privateKey }, input);
		return { key: toBase64(new Uint8Array(await crypto.subtle.exportKey("pkcs8", shown.privateKey))), file };`, k, &s)
	if err != nil {
		t.Fatal(err)
	}
	key, err := identity.ParsePrivateKey(s.Key)
	if err != nil {
		t.Fatal(err)
	}
	o.update(t, func(tx *store.Tx) error {
		return o.Keep(t.Context(), tx, registration.Keeping{Organization: org, Person: "p-alice", Order: "o", Key: identity.Public(key), Sealed: s.File})
	})
	leaf := o.ca.Leaf("alice@example.org", testca.P256, testca.KeyUsage(x509.KeyUsageKeyAgreement))
	leaf.Key, leaf.Certificate = key, o.ca.Issuing.Rekey(leaf.Certificate, identity.Public(key))
	o.certify(t, leaf)
	r := o.ask(t, o.actor(t, "dan"), "dan")
	for _, name := range []string{"ana", "ben"} {
		if err := o.answer(t, name, recovery.Release, r.ID); err != nil {
			t.Fatal(err)
		}
	}
	b, err := o.Release(t.Context(), o.actor(t, "dan"), org, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := b.Open(o.with("dan")); err == nil {
		t.Errorf("the program takes it for the key: %v", ids)
	}
	own, err := identity.MarshalPrivateKey(o.keys["dan"].Key)
	if err != nil {
		t.Fatal(err)
	}
	var got any
	err = script(t, `return openBundle(input.bundle, [{ pkcs8: fromBase64(input.key), certificate: fromBase64(input.bundle.recipient) }]);`,
		map[string]any{"bundle": b, "key": own}, &got)
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("another key than it was escrowed as")) {
		t.Errorf("the page: %v", err)
	}
}
