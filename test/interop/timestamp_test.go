package interop

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

const stampPolicy = "1.3.6.1.4.1.99999.1"

// newAuthority is one who may issue timestamps and nothing else (RFC 3161 §2.3).
func newAuthority(ca *testca.CA, kind testca.Kind) *party {
	timeStamping := testca.Extension(oid.ExtExtKeyUsage, true, []byte("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x08"))
	leaf := ca.Leaf("", kind, validNow(), timeStamping, testca.KeyUsage(x509.KeyUsageDigitalSignature))
	return &party{name: "tsa", kind: kind, ca: ca, leaf: leaf}
}

// stampConfig is what openssl ts -reply asks for. certs is the chain file.
func (o *openssl) stampConfig(t testing.TB, p *party, digests string, essSHA1 bool) string {
	t.Helper()
	cert, key, chain := o.files(t, p)
	alg := "sha256"
	if essSHA1 {
		alg = "sha1"
	}
	put(t, o.dir, "serial", []byte("01\n"))
	return put(t, o.dir, "ts.cnf", []byte(strings.Join([]string{
		"[tsa]", "default_tsa = t", "[t]", "serial = " + o.dir + "/serial", "signer_cert = " + cert, "signer_key = " + key, "certs = " + chain,
		"signer_digest = sha256", "default_policy = " + stampPolicy, "digests = " + digests, "accuracy = secs:1, millisecs:500, microsecs:100",
		"ordering = yes", "tsa_name = yes", "ess_cert_id_chain = no", "ess_cert_id_alg = " + alg, "",
	}, "\n")))
}

func (o *openssl) ts(t testing.TB, args ...string) ([]byte, error) {
	t.Helper()
	return call(t, o.dir, nil, nil, o.path, append([]string{"ts"}, args...)...)
}

// TestTimestampByOpenSSL: our request, OpenSSL's answer, our judgement and
// OpenSSL's; as part of a signature too.
func TestTimestampByOpenSSL(t *testing.T) {
	ca := testca.New(t, validNow())
	for _, kind := range []testca.Kind{testca.RSA2048, testca.P256, testca.P384} {
		for _, essSHA1 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/ESSCertID SHA-1 %v", kind, essSHA1), func(t *testing.T) {
				o := newOpenSSL(t, ca)
				tsa := newAuthority(ca, kind)
				config := o.stampConfig(t, tsa, "sha256, sha384, sha512", essSHA1)
				reply := func(request []byte) ([]byte, error) {
					return o.ts(t, "-reply", "-config", config, "-queryfile", put(t, o.dir, "request", request))
				}
				for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
					q, err := cms.NewTimestampRequest([]byte("text"), h, nil)
					if err != nil {
						t.Fatal(err)
					}
					der, err := q.DER()
					if err != nil {
						t.Fatal(err)
					}
					response, err := reply(der)
					if err != nil {
						t.Fatal(err)
					}
					token, stamp, err := q.Open(response)
					if err != nil {
						t.Fatal(err)
					}
					checkStamp(t, stamp, tsa)
					if !stamp.Ordering || stamp.Accuracy != 1500100*time.Microsecond {
						t.Errorf("ordering %v, accuracy %v", stamp.Ordering, stamp.Accuracy)
					}
					if again := cms.VerifyTimestamp(token, []byte("text"), nil); again.Err != nil {
						t.Error(again.Err)
					}
					if wrong := cms.VerifyTimestamp(token, []byte("texT"), nil); wrong.Err == nil {
						t.Error("takes a timestamp of something else")
					}
					if _, err := o.ts(t, "-verify", "-in", put(t, o.dir, "response", response), "-queryfile", put(t, o.dir, "request", der), "-CAfile", "root.pem", "-untrusted", "tsa.chain"); err != nil {
						t.Error(err)
					}
				}
				signStamped(t, o, ca, tsa, reply)
			})
		}
	}
}

func checkStamp(t testing.TB, stamp *cms.Timestamp, tsa *party) {
	t.Helper()
	if stamp.Err != nil || !stamp.Signer.Certificate.Equal(tsa.leaf.Certificate) || stamp.Policy != stampPolicy || time.Since(stamp.Time).Abs() > time.Minute {
		t.Fatalf("%+v", stamp)
	}
	_, err := certpath.Verify(stamp.Signer.Certificate, &certpath.Options{
		Anchors: []*cert.Certificate{tsa.ca.Root.Certificate}, Intermediates: stamp.Certificates, At: time.Now(), Purpose: certpath.TimeStamping,
	})
	if err != nil {
		t.Error(err)
	}
}

// signStamped signs with a timestamp, which we find valid; OpenSSL takes the
// message and finds the token valid for the signature's octets.
func signStamped(t *testing.T, o *openssl, ca *testca.CA, tsa *party, reply func([]byte) ([]byte, error)) {
	t.Helper()
	alice := newParty(ca, "alice", testca.P256)
	var out bytes.Buffer
	w, err := cms.Sign(&out, []*cms.Signer{alice.signer()}, &cms.SignOptions{Time: time.Now(), Timestamp: reply})
	stamped := finish(t, &out, w, err, []byte("text"))
	result := signerOf(t, stamped)
	if len(result.Timestamps) != 1 {
		t.Fatalf("%d timestamps", len(result.Timestamps))
	}
	checkStamp(t, result.Timestamps[0], tsa)
	if content, err := o.verify(t, stamped, nil); err != nil || string(content) != "text" {
		t.Errorf("%q, %v", content, err)
	}
	token := result.UnsignedAttrs.Values(oid.AttrTimeStampToken)[0]
	if _, err := o.ts(t, "-verify", "-token_in", "-in", put(t, o.dir, "token", token), "-data", put(t, o.dir, "signature", result.Signature), "-CAfile", "root.pem", "-untrusted", "tsa.chain"); err != nil {
		t.Error(err)
	}
}

// signerOf returns what the only signer of a message proves.
func signerOf(t testing.TB, message []byte) cms.SignerResult {
	t.Helper()
	r, err := cms.NewReader(bytes.NewReader(message), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.SignedData(nil)
	if err != nil {
		t.Fatal(err)
	}
	var content bytes.Buffer
	if _, err := content.ReadFrom(s); err != nil || len(s.Signers()) != 1 {
		t.Fatalf("%d signers, %v", len(s.Signers()), err)
	}
	return s.Signers()[0]
}

// TestTimestampForOpenSSL: OpenSSL's request, our answer, OpenSSL's judgement.
func TestTimestampForOpenSSL(t *testing.T) {
	ca := testca.New(t, validNow())
	for _, kind := range []testca.Kind{testca.RSA2048, testca.P256, testca.P384} {
		for _, query := range [][]string{
			{"-sha256", "-cert"}, {"-sha512"}, {"-sha384", "-cert", "-no_nonce"}, {"-sha256", "-tspolicy", stampPolicy},
		} {
			t.Run(fmt.Sprintf("%v/%v", kind, query), func(t *testing.T) {
				o := newOpenSSL(t, ca)
				tsa := newAuthority(ca, kind)
				o.files(t, tsa)
				data := put(t, o.dir, "data", []byte("text"))
				request, err := o.ts(t, append([]string{"-query", "-data", data}, query...)...)
				if err != nil {
					t.Fatal(err)
				}
				a := &cms.TimestampAuthority{Signer: tsa.signer(), Policy: stampPolicy, Accuracy: 1500 * time.Millisecond}
				response, err := a.Respond(request, big.NewInt(0x1234567890), time.Now())
				if err != nil {
					t.Fatal(err)
				}
				untrusted := append(tsa.leaf.Certificate.PEM(), get(t, o.dir+"/tsa.chain")...)
				args := []string{"-verify", "-in", put(t, o.dir, "response", response), "-CAfile", "root.pem", "-untrusted", put(t, o.dir, "untrusted", untrusted)}
				if _, err := o.ts(t, append(args, "-queryfile", put(t, o.dir, "request", request))...); err != nil {
					t.Error(err)
				}
				if _, err := o.ts(t, append(args, "-data", data)...); err != nil {
					t.Error(err)
				}
				if out, err := o.ts(t, "-reply", "-in", o.dir+"/response", "-text"); err != nil || !bytes.Contains(out, []byte("Status: Granted")) || !bytes.Contains(out, []byte("0x1234567890")) {
					t.Errorf("%s, %v", out, err)
				}
				put(t, o.dir, "data", []byte("texT"))
				if _, err := o.ts(t, append(args, "-data", data)...); err == nil {
					t.Error("OpenSSL takes our timestamp for something else")
				}
			})
		}
	}
}

// TestTimestampRefusedByOpenSSL: what OpenSSL refuses comes as an error that
// says so; what we refuse OpenSSL reads as that.
func TestTimestampRefusedByOpenSSL(t *testing.T) {
	ca := testca.New(t, validNow())
	o := newOpenSSL(t, ca)
	tsa := newAuthority(ca, testca.P256)
	config := o.stampConfig(t, tsa, "sha512", false)
	q, err := cms.NewTimestampRequest([]byte("text"), crypto.SHA256, nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := q.DER()
	if err != nil {
		t.Fatal(err)
	}
	request := put(t, o.dir, "request", der)
	response, err := o.ts(t, "-reply", "-config", config, "-queryfile", request)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := q.Open(response); err == nil || !strings.Contains(err.Error(), "rejection: badAlg") {
		t.Error(err)
	}
	q.Policy = "1.2.3"
	if der, err = q.DER(); err != nil {
		t.Fatal(err)
	}
	a := &cms.TimestampAuthority{Signer: tsa.signer(), Policy: stampPolicy}
	if response, err = a.Respond(der, big.NewInt(1), time.Now()); err != nil {
		t.Fatal(err)
	}
	out, err := o.ts(t, "-reply", "-in", put(t, o.dir, "response", response), "-text")
	if err != nil || !bytes.Contains(out, []byte("requested TSA policy is not supported")) {
		t.Errorf("%s, %v", out, err)
	}
}

// TestCountersignatureAndOpenSSL: OpenSSL still takes a message that we have
// countersigned, ours and its own, in DER and in BER.
func TestCountersignatureAndOpenSSL(t *testing.T) {
	ca := testca.New(t, validNow())
	o := newOpenSSL(t, ca)
	alice, notary := newParty(ca, "alice", testca.RSA2048), newParty(ca, "notary", testca.P256)
	streamed, err := call(t, o.dir, []byte("text"), nil, o.path, "cms", "-sign", "-binary", "-stream", "-indef", "-nodetach", "-outform", "DER",
		"-signer", first(o.files(t, alice)), "-inkey", "alice.key", "-certfile", "alice.chain")
	if err != nil {
		t.Fatal(err)
	}
	for name, message := range map[string][]byte{"ours": ourSign(t, alice, []byte("text"), false), "theirs": o.sign(t, alice, []byte("text"), false), "theirs, streamed": streamed} {
		var out bytes.Buffer
		n := notary.signer()
		err := cms.Amend(&out, bytes.NewReader(message), int64(len(message)), &cms.Amendment{
			Certificates: n.Certificates(),
			Unsigned: func(_ int, si *cms.SignerInfo) (cms.Attributes, error) {
				a, err := cms.Countersign(si, n, &cms.CountersignOptions{Time: time.Now()})
				return cms.Attributes{a}, err
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if content, err := o.verify(t, out.Bytes(), nil); err != nil || string(content) != "text" {
			t.Errorf("%s: %q, %v", name, content, err)
		}
		r := signerOf(t, out.Bytes())
		if len(r.Countersignatures) != 1 || r.Countersignatures[0].Err != nil || !r.Countersignatures[0].Certificate.Equal(notary.leaf.Certificate) {
			t.Errorf("%s: %+v", name, r.Countersignatures)
		}
	}
}

func first(path, _, _ string) string { return path }

// TestCertsOnlyAndOpenSSL: certs-only messages, with CRLs, both ways.
func TestCertsOnlyAndOpenSSL(t *testing.T) {
	ca := testca.New(t, validNow())
	o := newOpenSSL(t, ca)
	alice := newParty(ca, "alice", testca.P256)
	crl := ca.Issuing.CRL(nil)
	var out bytes.Buffer
	if err := cms.CertsOnly(&out, []*cert.Certificate{alice.leaf.Certificate, ca.Issuing.Certificate}, [][]byte{crl}); err != nil {
		t.Fatal(err)
	}
	text, err := call(t, o.dir, out.Bytes(), nil, o.path, "pkcs7", "-inform", "DER", "-print_certs", "-noout")
	if err != nil || !bytes.Contains(text, []byte("alice@example.com")) || !bytes.Contains(text, []byte("Last Update")) {
		t.Errorf("%s, %v", text, err)
	}
	bundle := put(t, o.dir, "bundle", append(alice.leaf.Certificate.PEM(), ca.Issuing.Certificate.PEM()...))
	theirs, err := call(t, o.dir, nil, nil, o.path, "crl2pkcs7", "-nocrl", "-certfile", bundle, "-outform", "DER")
	if err != nil {
		t.Fatal(err)
	}
	r, err := cms.NewReader(bytes.NewReader(theirs), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.SignedData(nil)
	if err != nil || len(s.Certificates()) != 2 || len(s.Signers()) != 0 {
		t.Errorf("%v", err)
	}
}
