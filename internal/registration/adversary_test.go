package registration_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/registration"
)

// hostile makes addresses that mail software is known to read in several ways,
// by putting odd pieces where they hurt.
func hostile() []string {
	pieces := []string{
		"", " ", "\t", "\r\n", "\n", "\r", "\x00", "\x7f", "\u00a0", "\u200b", "\u202e", "\ufeff", "\u3002", "\uff20", "\ufe6b",
		"@", "@@", "%", "!", "\"", "\\", "\\\"", "(c)", "<", ">", ",", ";", ":", "[", "]", ".", "..", "+", "-", "_", "/", "=", "'", "`", "|", "{", "}",
		"a@b", "%40", "&#64;", "=?utf-8?q?a?=", "\r\nRCPT TO:<eve@example.com>", "\r\nBcc: eve@example.com", "> SIZE=1", "\x1b[2J",
		"caf\u00e9", "\u0430", "\u7530\u4e2d", "xn--", "xn--a", "A", "I", "\u0130", "\u0131", "\u017f", "\u212a", strings.Repeat("a", 65), strings.Repeat("a.", 130),
	}
	var list []string
	for _, p := range pieces {
		for _, shape := range []string{
			"%sali@example.org", "ali%sce@example.org", "ali%s@example.org", "ali@%sexample.org", "ali@exam%sple.org", "ali@example%sorg",
			"ali@example.org%s", "\"ali%sce\"@example.org", "<%sali@example.org>", "Ali%s <ali@example.org>", "ali@example.org%s@example.com",
			"%s@%s", "@%s,@b:ali@example.org", "ali@[%s]", "ali@[127.0.0.1%s]", "ali@127.0.0.1%s", "ali@%s.", "ali@.%s", "ali@-%s.org", "ali@%s-.org",
			"ali@localhost%s", "group:%sali@example.org;", "mailto:%sali@example.org", "ali@example.org,%s", "ali(%s)@example.org", "ali@example.org?subject=%s",
			"ali\\%s@example.org", "%s ali@example.org", "ali@exa\u00admple%s.org", "ali@ex\u0430mple%s.org", "ali+%s@example.org", "ALI%s@EXAMPLE.ORG",
		} {
			list = append(list, fmt.Sprintf(strings.ReplaceAll(shape, "%s", "%[1]s"), p))
		}
	}
	return list
}

// Every hostile address is refused, or the bytes that were mailed to are the
// bytes in the certificate.
func TestHostileAddresses(t *testing.T) {
	o := open(t)
	list := hostile()
	if len(list) < 2000 {
		t.Fatalf("only %d addresses", len(list))
	}
	accepted, seen := 0, map[string]bool{}
	for _, address := range list {
		o.pass(time.Hour)
		order, secret, err := o.Apply(t.Context(), registration.Application{Email: address})
		if err != nil {
			if !errors.Is(err, registration.ErrAddress) {
				t.Fatalf("%q: %v", address, err)
			}
			continue
		}
		accepted++
		mail := o.mails[len(o.mails)-1]
		if mail.To != order.Email || strings.ContainsAny(mail.To, " \t\r\n\"\\<>(),;:[]%!\x00") || strings.Contains(mail.To, "=?") || strings.Count(mail.To, "@") != 1 {
			t.Errorf("%q: mailed to %q", address, mail.To)
		}
		if !strings.EqualFold(strings.Trim(address, " \t\r\n\u3000"), mail.To) && !strings.Contains(mail.To, "@xn--") && !strings.Contains(mail.To, ".xn--") {
			t.Errorf("%q became %q", address, mail.To)
		}
		if seen[mail.To] { // a certificate for each would say nothing new
			continue
		}
		seen[mail.To] = true
		if order, err = o.Prove(t.Context(), order.ID, secret, o.code(t, mail.To)); err != nil {
			t.Fatal(err)
		}
		issued, err := o.Enroll(t.Context(), order.ID, secret, request(t, newKey(t)))
		if err != nil {
			t.Fatal(err)
		}
		if got := issued.Certificate.Emails(); len(got) != 1 || got[0] != mail.To {
			t.Errorf("mailed to %q, certified %q", mail.To, got)
		}
	}
	if accepted == 0 || accepted > len(list)/5 {
		t.Errorf("%d of %d were accepted: the list is not what it was", accepted, len(list))
	}
	t.Logf("%d of %d accepted, %d different", accepted, len(list), len(seen))
}

// greedy returns a request that asks for much more than a certificate for its
// key, signed as it should be.
func greedy(t *testing.T, r *mathrand.Rand, key any) []byte {
	t.Helper()
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	value := func(v any) []byte {
		der, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	template := &x509.CertificateRequest{
		Subject: pkix.Name{
			CommonName:   pick("", "eve@example.com", "Eve", "www.example.com", strings.Repeat("x", 5000), "a\x00b", "a\r\nb"),
			Organization: []string{pick("", "Example Bank", "\u202e")}, Country: []string{pick("XX", "US")},
		},
		EmailAddresses: []string{pick("eve@example.com", "alice@example.org", "alice@example.org\x00.example.com")},
		DNSNames:       []string{pick("example.com", "*", "localhost")},
		IPAddresses:    []net.IP{net.IPv4(127, 0, 0, 1)},
		URIs:           []*url.URL{{Scheme: "https", Host: "example.com"}},
	}
	extensions := []pkix.Extension{
		{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}},       // cA
		{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte{3, 2, 1, 6}},                // keyCertSign
		{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: value([]asn1.ObjectIdentifier{{2, 5, 29, 37, 0}})}, // any purpose
		{Id: asn1.ObjectIdentifier{2, 5, 29, 32}, Value: value([][]asn1.ObjectIdentifier{{{2, 23, 140, 1, 5, 3, 3}}})},
		{Id: asn1.ObjectIdentifier{2, 5, 29, 54}, Critical: true, Value: []byte{2, 1, 0}},
		{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}},
	}
	r.Shuffle(len(extensions), func(i, j int) { extensions[i], extensions[j] = extensions[j], extensions[i] })
	template.ExtraExtensions = extensions[:r.IntN(len(extensions))]
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Whatever a request asks for, the certificate is the one that a plain request
// gets: the same bytes but for serial number, time and signature.
func TestGreedyRequests(t *testing.T) {
	o := open(t)
	key := newKey(t)
	r := mathrand.New(mathrand.NewPCG(1, 2))
	enroll := func(csr []byte) (*cert.Certificate, error) {
		o.pass(time.Hour)
		order, secret := o.proven(t, "alice@example.org")
		issued, err := o.Enroll(t.Context(), order.ID, secret, csr)
		return issued.Certificate, err
	}
	plain, err := enroll(request(t, key))
	if err != nil {
		t.Fatal(err)
	}
	issued := 0
	for range 100 {
		c, err := enroll(greedy(t, r, key))
		if err != nil {
			if !errors.Is(err, registration.ErrRequest) {
				t.Fatal(err)
			}
			continue
		}
		issued++
		if !bytes.Equal(c.RawSubject, plain.RawSubject) || !bytes.Equal(c.RawSPKI, plain.RawSPKI) ||
			len(c.Extensions) != len(plain.Extensions) || c.NotAfter.Sub(c.NotBefore) != plain.NotAfter.Sub(plain.NotBefore) {
			t.Fatalf("the request left its mark: %s", c.PEM())
		}
		for i, e := range c.Extensions {
			if p := plain.Extensions[i]; e.ID != p.ID || e.Critical != p.Critical || !bytes.Equal(e.Value, p.Value) {
				t.Errorf("extension %s is not that of a plain request", e.ID.Name())
			}
		}
	}
	if issued < 50 {
		t.Errorf("only %d of 100 requests were served", issued)
	}
}

// A request that was changed after it was signed gets nothing.
func TestChangedRequests(t *testing.T) {
	o := open(t)
	order, secret := o.proven(t, "alice@example.org")
	good := request(t, newKey(t), "alice@example.org")
	r := mathrand.New(mathrand.NewPCG(3, 4))
	for range 1000 {
		bad := bytes.Clone(good)
		bad[r.IntN(len(bad))] ^= byte(1 + r.IntN(255))
		if _, err := o.Enroll(t.Context(), order.ID, secret, bad); !errors.Is(err, registration.ErrRequest) {
			t.Fatalf("%x: %v", bad, err)
		}
	}
	for n := range len(good) {
		if _, err := o.Enroll(t.Context(), order.ID, secret, good[:n]); !errors.Is(err, registration.ErrRequest) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	if _, err := o.Enroll(t.Context(), order.ID, secret, good); err != nil {
		t.Errorf("afterwards the good one: %v", err)
	}
}

// Fifty people at once: everyone gets a certificate of their own.
func TestConcurrentEnrolments(t *testing.T) {
	o := open(t)
	const people = 50
	serials := make([]string, people)
	var wg sync.WaitGroup
	for i := range people {
		wg.Go(func() {
			address := fmt.Sprintf("person%d@example.org", i)
			order, secret, err := o.Apply(t.Context(), registration.Application{Email: address})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := o.Prove(t.Context(), order.ID, secret, o.code(t, address)); err != nil {
				t.Error(err)
				return
			}
			issued, err := o.Enroll(t.Context(), order.ID, secret, request(t, newKey(t)))
			if err != nil {
				t.Error(err)
				return
			}
			serials[i] = issued.Certificate.SerialHex()
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for i, s := range serials {
		if s == "" || seen[s] {
			t.Errorf("person %d has serial number %q, which is none or somebody else's", i, s)
		}
		seen[s] = true
	}
}

// One order, many impatient clients: with the same key all get the same
// certificate, with different keys exactly one gets one.
func TestConcurrentClients(t *testing.T) {
	for name, keys := range map[string]func() []byte{
		"same key":       sync.OnceValue(func() []byte { return request(t, newKey(t)) }),
		"different keys": func() []byte { return request(t, newKey(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			o := open(t)
			order, secret := o.proven(t, "alice@example.org")
			var mu sync.Mutex
			got := map[string]int{}
			var wg sync.WaitGroup
			for range 20 {
				csr := keys()
				wg.Go(func() {
					issued, err := o.Enroll(t.Context(), order.ID, secret, csr)
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						got[issued.Certificate.SHA256()]++
					case errors.Is(err, registration.ErrOtherKey):
						got["refused"]++
					default:
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if name == "same key" && (len(got) != 1 || got["refused"] != 0) {
				t.Errorf("%v, want one certificate for all", got)
			}
			if name != "same key" && (len(got) != 2 || got["refused"] != 19) {
				t.Errorf("%v, want one certificate and 19 refusals", got)
			}
		})
	}
}

// Of two that enter the same code at once, one proves the mailbox.
func TestConcurrentCodes(t *testing.T) {
	o := open(t)
	order, secret := o.apply(t, "alice@example.org")
	code := o.code(t, "alice@example.org")
	var mu sync.Mutex
	right := 0
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := o.Prove(t.Context(), order.ID, secret, code)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				right++
			} else if !errors.Is(err, registration.ErrState) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if right != 1 {
		t.Errorf("the code was right %d times", right)
	}
}
