package registration_test

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/lint"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

// long tells whether the counts of the table of threats are run in full.
func long() bool { return os.Getenv("MAILSEAL_ROWS") != "" }

// TestWhiteList asks for every order in every state, as every actor, in every
// kind of request, with every kind of key: what is not on the list issues nothing
// (row 16).
func TestWhiteList(t *testing.T) {
	if testing.Short() {
		t.Skip("long: thousands of requests")
	}
	c := openCompany(t)
	c.set(t, func(*registration.Settings) {})
	person := c.add(t, tanaka())
	other := c.add(t, registration.PersonInput{Addresses: []string{"hanako@example.jp"}})
	w := &whiteList{company: c, person: person.ID, key: newKey(t)}
	w.csr = request(t, w.key)
	rival := c.found(t, "rival")
	grant := func(role auth.Role, organization string) []auth.Grant {
		return []auth.Grant{{Role: role, Organization: organization}}
	}
	actors := map[string]auth.Actor{
		"nobody": {}, "the person": {Kind: auth.KindPerson, ID: person.ID}, "another person": {Kind: auth.KindPerson, ID: other.ID},
		"a person of no name": {Kind: auth.KindPerson}, "the administrator": c.admin, "another's administrator": rival.admin,
		"the approver": c.approver, "the operator": c.operator, "a validator": c.operator2,
		"an auditor":                {Kind: auth.KindAccount, ID: "auditor", Grants: grant(auth.Auditor, "")},
		"a recovery officer":        {Kind: auth.KindAccount, ID: "officer", Grants: grant(auth.RecoveryOfficer, c.id)},
		"an account without roles":  {Kind: auth.KindAccount, ID: "new"},
		"the administrator's token": {Kind: auth.KindToken, ID: "t", Account: "admin", Grants: c.admin.Grants},
		"a token without scopes":    {Kind: auth.KindToken, ID: "t", Account: "admin"},
		"a token of nobody":         {Kind: auth.KindToken, ID: "t", Grants: c.admin.Grants},
		"a person with grants":      {Kind: auth.KindPerson, ID: other.ID, Grants: c.admin.Grants},
		"bulk runs":                 auth.Server(registration.PartEnrollment), "renewal": auth.Server(registration.PartRenewal),
		"another part": auth.Server("recovery"), "the console": auth.Console(), "a kind that is none": {Kind: "root", ID: "console", Grants: c.admin.Grants},
	}
	kinds := append(registration.RequestKinds(), "", "organisation", "SESSION")
	calls, issued := 0, 0
	for _, keys := range []string{registration.KeysBrowser, registration.KeysServer} {
		c.set(t, func(s *registration.Settings) { s.Keys = keys })
		for _, state := range whiteStates {
			if keys == registration.KeysServer && !long() && state != "proven" && state != "issued" && state != "waits for approval" {
				continue
			}
			for name, actor := range actors {
				for _, kind := range kinds {
					for _, channel := range []string{"request", "key", "both", "nothing"} {
						if !long() && state != "proven" && (channel == "both" || channel == "nothing") {
							continue
						}
						for _, secret := range []string{"right", "wrong"} {
							if secret == "wrong" && kind != registration.RequestSession {
								continue
							}
							calls++
							if w.try(t, keys, state, name, actor, kind, channel, secret) {
								issued++
							}
						}
					}
				}
			}
		}
	}
	t.Logf("%d calls, %d issued", calls, issued)
	if calls < 3000 || issued < 20 {
		t.Errorf("%d calls, %d issued: too few to mean anything", calls, issued)
	}
}

// whiteList makes orders in states, once for as many refusals as there are.
type whiteList struct {
	*company
	person string
	key    crypto.Signer
	csr    []byte
	orders map[string]registration.Order
	secret map[string]string
}

// whiteStates are those that an organization's order can be in; the first one is
// the only one that issues.
var whiteStates = []string{
	"proven", "issued", "waits for the mailbox", "waits for approval", "refused", "expired", "proof expired", "domain gone", "organization suspended", "gone",
}

// order gives one in the state.
func (w *whiteList) order(t *testing.T, state string) (registration.Order, string) {
	t.Helper()
	if o, has := w.orders[state]; has {
		return o, w.secret[state]
	}
	if w.orders == nil {
		w.orders, w.secret = map[string]registration.Order{}, map[string]string{}
	}
	o := registration.Order{ID: "gone"}
	secret := "nothing"
	if state != "gone" {
		var err error
		if o, err = w.OrderFor(t.Context(), w.admin, w.id, w.person, registration.OrderRequest{}); err != nil {
			t.Fatal(state, err)
		}
		if _, secret, err = w.OpenOrder(t.Context(), auth.Server(registration.PartEnrollment), o.ID); err != nil {
			t.Fatal(state, err)
		}
	}
	w.orders[state], w.secret[state], w.secret["another"] = o, secret, "another"
	sql := func(query string) {
		storetest.SQL(t, w.source, query, o.ID)
	}
	switch state {
	case "issued":
		sql(`UPDATE orders SET state = 'issued', waiting_for = '' WHERE id = $1`)
	case "waits for the mailbox":
		sql(`UPDATE orders SET state = 'applied', waiting_for = 'mailbox' WHERE id = $1`)
	case "waits for approval":
		sql(`UPDATE orders SET state = 'applied', waiting_for = 'approval' WHERE id = $1`)
	case "refused":
		sql(`UPDATE orders SET state = 'refused' WHERE id = $1`)
	case "expired":
		sql(`UPDATE orders SET expires_at = 1 WHERE id = $1`)
	case "proof expired":
		sql(`UPDATE proofs SET expires_at = 1 WHERE order_id = $1`)
	}
	return o, secret
}

// around changes what lies outside the order, for one call.
func (w *whiteList) around(t *testing.T, state string, do func()) {
	t.Helper()
	change := map[string][2]string{
		"domain gone": {
			`UPDATE domains SET state = 'lapsed' WHERE organization_id = $1`, `UPDATE domains SET state = 'proven' WHERE organization_id = $1 AND name = 'example.jp'`},
		"organization suspended": {
			`UPDATE organizations SET standing = 'suspended' WHERE id = $1`, `UPDATE organizations SET standing = 'active' WHERE id = $1`},
	}[state]
	if change[0] == "" {
		do()
		return
	}
	storetest.SQL(t, w.source, change[0], w.id)
	defer storetest.SQL(t, w.source, change[1], w.id)
	do()
}

func (w *whiteList) try(t *testing.T, keys, state, name string, actor auth.Actor, kind registration.RequestKind, channel, which string) (issued bool) {
	t.Helper()
	o, secret := w.order(t, state)
	if which == "wrong" {
		secret = w.secret["another"]
	}
	r := registration.Request{Kind: kind, Organization: w.id, Order: o.ID, Secret: secret}
	if channel == "request" || channel == "both" {
		r.Certification = w.csr
	}
	if channel == "key" || channel == "both" {
		r.Key = w.key.Public()
	}
	may := state == "proven" && (kind == registration.RequestSession && which == "right" && channel == "request" && keys == registration.KeysBrowser ||
		kind == registration.RequestPerson && name == "the person" && channel == "request" && keys == registration.KeysBrowser ||
		kind == registration.RequestOrganization && channel == "request" && slices.Contains([]string{"the administrator", "the administrator's token", "the console"}, name) ||
		kind == registration.RequestServer && slices.Contains([]string{"bulk runs", "renewal"}, name) && (channel == "request" || channel == "key" && keys == registration.KeysServer))
	w.around(t, state, func() {
		got, err := w.EnrollFor(t.Context(), actor, r)
		issued = err == nil && got.Certificate != nil
	})
	if issued != may {
		t.Errorf("keys of the %s, order %s, %s asks as %q with %s and the %s secret: issued %v, want %v", keys, state, name, kind, channel, which, issued, may)
	}
	if issued {
		delete(w.orders, state)
	}
	return issued
}

// TestUnknownRequests: kinds that nobody knows get nothing (row 16).
func TestUnknownRequests(t *testing.T) {
	c := openCompany(t)
	c.set(t, func(*registration.Settings) {})
	order, err := c.OrderFor(t.Context(), c.admin, c.id, c.add(t, tanaka()).ID, registration.OrderRequest{})
	if err != nil {
		t.Fatal(err)
	}
	count := 20_000
	if long() {
		count = 1_000_000
	}
	r := mathrand.New(mathrand.NewPCG(16, 16))
	csr := request(t, newKey(t))
	known := registration.RequestKinds()
	for range count {
		kind := []byte(known[r.IntN(len(known))])
		for range 1 + r.IntN(3) {
			switch i := r.IntN(len(kind) + 1); r.IntN(3) {
			case 0:
				kind = slices.Insert(kind, i, byte(r.IntN(256)))
			case 1:
				kind = kind[:i]
			default:
				if i < len(kind) {
					kind[i] ^= byte(1 + r.IntN(255))
				}
			}
		}
		if slices.Contains(known, registration.RequestKind(kind)) {
			continue
		}
		ask := registration.Request{Kind: registration.RequestKind(kind), Order: order.ID, Certification: csr}
		if _, err := c.EnrollFor(t.Context(), c.admin, ask); !errors.Is(err, registration.ErrForbidden) {
			t.Fatalf("kind %q: %v", kind, err)
		}
	}
	if _, err := c.EnrollFor(t.Context(), c.admin, registration.Request{Kind: registration.RequestOrganization, Organization: c.id, Order: order.ID, Certification: csr}); err != nil {
		t.Errorf("afterwards the good one: %v", err)
	}
}

// TestMutatedRequests: whatever a certification request says or is, the
// certificate has the names that were validated, and no lint finds anything
// (row 22).
func TestMutatedRequests(t *testing.T) {
	if testing.Short() {
		t.Skip("long: hundreds of certificates")
	}
	c := openCompany(t)
	c.set(t, func(*registration.Settings) {})
	c.validate(t, "")
	person := c.add(t, registration.PersonInput{GivenName: "Taro", Surname: "Tanaka", Addresses: []string{"taro@example.jp", "t.tanaka@example.jp"}})
	count := 120
	if long() {
		count = 5000
	}
	r := mathrand.New(mathrand.NewPCG(22, 22))
	key := newKey(t)
	plain := request(t, key, "eve@example.com")
	order := func() registration.Order {
		t.Helper()
		o, err := c.OrderFor(t.Context(), c.admin, c.id, person.ID, registration.OrderRequest{Kind: registration.KindIVOV})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	next := order()
	issued := 0
	for i := range count {
		csr := greedy(t, r, key)
		if i%3 == 0 { // and some that are no longer signed
			csr = bytes.Clone(plain)
			csr[r.IntN(len(csr))] ^= byte(1 + r.IntN(255))
		}
		got, err := c.EnrollFor(t.Context(), c.admin, registration.Request{Kind: registration.RequestOrganization, Organization: c.id, Order: next.ID, Certification: csr})
		if err != nil {
			if !errors.Is(err, registration.ErrRequest) {
				t.Fatal(err)
			}
			continue
		}
		issued++
		next = order()
		if emails := got.Certificate.Emails(); !slices.Equal(emails, person.Addresses) {
			t.Errorf("%x: SAN %q, validated %q", csr, emails, person.Addresses)
		}
		examined := lint.Examine(got.Certificate, lint.Kind{Type: issuance.SponsorValidated, Generation: issuance.Multipurpose})
		for _, f := range examined.Findings {
			if f.Severity == lint.Error {
				t.Errorf("%x: %+v", csr, f)
			}
		}
	}
	if issued < count/3 {
		t.Errorf("only %d of %d requests were served", issued, count)
	}
}

// A hundred certificates are revoked at once: within a second OCSP and the list
// say so of each of them, and of no other.
func TestRevokeAHundred(t *testing.T) {
	c := openCompany(t)
	c.set(t, func(*registration.Settings) {})
	const people = 101
	var list []registration.PersonInput
	for i := range people {
		list = append(list, registration.PersonInput{Addresses: []string{fmt.Sprintf("p%03d@example.jp", i)}})
	}
	added, err := c.AddPeople(t.Context(), c.admin, c.id, list)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, a := range added {
		if a.Err != nil {
			t.Fatal(a.Err)
		}
		ids = append(ids, a.Person.ID)
	}
	outcomes, err := c.OrdersFor(t.Context(), c.admin, c.id, ids, registration.OrderRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var certificates []*cert.Certificate
	for _, o := range outcomes {
		got, err := c.EnrollFor(t.Context(), auth.Server(registration.PartEnrollment), registration.Request{Kind: registration.RequestServer, Order: o.Order.ID, Certification: request(t, newKey(t))})
		if err != nil {
			t.Fatal(err)
		}
		certificates = append(certificates, got.Certificate)
	}
	var held []string
	for page := (registration.Page{Limit: 40}); ; {
		list, next, err := c.People(t.Context(), c.admin, c.id, registration.PersonQuery{State: registration.PersonValid}, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list {
			held = append(held, p.Certificates[0].ID)
		}
		if page.After = next; next == "" {
			break
		}
	}
	if len(held) != people {
		t.Fatalf("%d people have a certificate", len(held))
	}
	kept := held[people-1]
	started := time.Now()
	if _, err := c.Revoke(t.Context(), c.admin, c.id, append(slices.Clone(held[:100]), "of nobody"), cert.Superseded); !errors.Is(err, registration.ErrForbidden) {
		t.Fatalf("with one that is not there: %v", err)
	}
	done, err := c.Revoke(t.Context(), c.admin, c.id, held[:100], cert.Superseded)
	if err != nil || len(done.Revoked) != 100 || len(done.Before) != 0 {
		t.Fatalf("%d revoked, %d before, %v", len(done.Revoked), len(done.Before), err)
	}
	took := time.Since(started)
	named := c.revoked(t)
	good := 0
	for _, one := range certificates {
		is := c.ocsp(t, one)
		if named[one.SerialHex()] != (is == cert.OCSPRevoked) {
			t.Errorf("%s: OCSP says %s, and the list names it: %v", one.SerialHex(), is, named[one.SerialHex()])
		}
		if is == cert.OCSPGood {
			good++
		}
	}
	if took > time.Second || len(named) != 100 || good != 1 {
		t.Errorf("after %v the list names %d, and %d of ours are good", took, len(named), good)
	}
	again, err := c.Revoke(t.Context(), c.admin, c.id, held, cert.Superseded)
	if err != nil || len(again.Revoked) != 1 || again.Revoked[0] != kept || len(again.Before) != 100 {
		t.Errorf("all of them: %d revoked, %d before, %v", len(again.Revoked), len(again.Before), err)
	}
	for name, a := range map[string]auth.Actor{"the approver": c.approver, "the operator": c.operator, "nobody": {}, "another part": auth.Server("x")} {
		if _, err := c.Revoke(t.Context(), a, c.id, held, cert.Superseded); !errors.Is(err, registration.ErrForbidden) {
			t.Errorf("%s revokes: %v", name, err)
		}
	}
	for _, reason := range []cert.Reason{cert.CACompromise, cert.CertificateHold, 99} {
		if _, err := c.Revoke(t.Context(), c.admin, c.id, held, reason); inputKey(err) != "reason input.reason" {
			t.Errorf("reason %d: %v", reason, err)
		}
	}
	c.logIsWhole(t)
}

// ocsp asks what OCSP says of a certificate.
func (c *company) ocsp(t testing.TB, of *cert.Certificate) cert.OCSPCertStatus {
	t.Helper()
	id, err := cert.NewCertID(of, c.authority.Chain()[0], crypto.SHA1)
	if err != nil {
		t.Fatal(err)
	}
	q := &cert.OCSPRequest{CertIDs: []cert.CertID{id}}
	raw, err := q.DER()
	if err != nil {
		t.Fatal(err)
	}
	r, err := cert.ParseOCSPResponse(c.authority.OCSP(t.Context(), raw).DER)
	if err != nil || r.Basic == nil || len(r.Basic.Answers) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	return r.Basic.Answers[0].Status
}

// revoked are the serial numbers that the issuing authority's lists name.
func (c *company) revoked(t testing.TB) map[string]bool {
	t.Helper()
	named := map[string]bool{}
	list, err := c.authority.CRL(t.Context(), "issuing", 0)
	if err != nil {
		t.Fatal(err)
	}
	crl, err := cert.ParseCRL(list.DER)
	if err != nil {
		t.Fatal(err)
	}
	for e := range crl.Entries() {
		named[fmt.Sprintf("%x", e.Serial)] = true
	}
	return named
}
