package api_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
	"github.com/mailseal/mailseal/internal/testca"
)

// operation is a line of the table, as the served document has it.
type operation struct {
	id, method, path string
	scopes           []string // one of them is needed; nil: any token
	open             bool     // to anybody, or by an order's own token
	body             bool
}

func (s *server) operations() (list []operation) {
	s.t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string                `json:"operationId"`
			Security    []map[string][]string `json:"security"`
			RequestBody any                   `json:"requestBody"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(s.send("GET", "/api/openapi.json", "").body, &doc); err != nil {
		s.t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method, o := range methods {
			op := operation{id: o.OperationID, method: strings.ToUpper(method), path: path, open: len(o.Security) == 0, body: o.RequestBody != nil}
			for _, way := range o.Security {
				if _, byOrder := way["order"]; byOrder {
					op.open = true
				}
				op.scopes = append(op.scopes, way["token"]...)
			}
			list = append(list, op)
		}
	}
	slices.SortFunc(list, func(a, b operation) int { return strings.Compare(a.method+a.path, b.method+b.path) })
	return list
}

// company is an organization with one of everything.
type company struct {
	admin   auth.Actor
	objects map[string]string // what stands for {names} in paths
	people  []string
	leaf    *testca.Leaf // of its administrator
}

// account makes an account with roles.
func (s *server) account(name string, grants ...auth.Grant) auth.Actor {
	s.t.Helper()
	err := s.db.Update(s.t.Context(), func(tx *store.Tx) error {
		err := tx.InsertAdministrator(store.Administrator{ID: name, Email: name + "@example.org", EmailKey: name + "@example.org", Name: name, Password: "-", Created: s.clock()})
		for _, g := range grants {
			err = errors.Join(err, auth.GiveRole(s.t.Context(), tx, auth.Console(), name, g, s.clock()))
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return auth.Actor{Kind: auth.KindAccount, ID: name, Grants: grants, Strong: true, Fresh: true}
}

// token makes a token of an account.
func (s *server) token(a auth.Actor, scopes ...auth.Grant) string {
	s.t.Helper()
	_, secret, err := s.accounts.NewToken(s.t.Context(), a, "test", scopes, 24*time.Hour)
	if err != nil {
		s.t.Fatal(err, scopes)
	}
	return secret
}

// ask makes one request without a network.
func (s *server) ask(token, method, path, media, body string, header ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	s.Config.Handler.ServeHTTP(w, r)
	return w
}

// json makes a request that must do what it asks for, and reads the answer.
func (s *server) json(token, method, path string, in any, want int) map[string]any {
	s.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		s.t.Fatal(err)
	}
	media := "application/json"
	if in == nil {
		body, media = nil, ""
	}
	w := s.ask(token, method, path, media, string(body))
	if w.Code != want {
		s.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	var out map[string]any
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			s.t.Fatal(err)
		}
	}
	return out
}

type object = map[string]any

// found makes an organization with a person who has a certificate, an open order,
// evidence, a run and a request for a key, by the API as far as that goes.
func (s *server) found(name string) *company {
	s.t.Helper()
	ctx := s.t.Context()
	if s.operator.ID == "" {
		s.operator = s.account("operator", auth.Grant{Role: auth.Operator})
		s.validator = s.account("validator", auth.Grant{Role: auth.Validator})
	}
	c := &company{admin: s.account(name), objects: map[string]string{}}
	org, err := s.orders.CreateOrganization(ctx, c.admin, registration.Organization{Name: name + " K.K.", Country: "JP", State: "Tokyo", Locality: "Minato-ku", Identifier: "NTRJP-7000012050002"}, "")
	if err != nil {
		s.t.Fatal(err)
	}
	c.admin.Grants = []auth.Grant{{Role: auth.Administrator, Organization: org.ID}}
	c.objects["organization"] = org.ID
	base := "/api/v1/organizations/" + org.ID
	token := s.token(c.admin, c.admin.Grants...)
	s.json(token, "POST", base+"/agreement", object{"version": registration.AgreementVersion}, 200)
	s.json(token, "PUT", base+"/settings", settings(), 200)
	domain := name + ".example"
	d := s.json(token, "POST", base+"/domains", object{"name": domain}, 201)
	s.dns.TXT(d["record_name"].(string), d["record_value"].(string))
	if d = s.json(token, "POST", base+"/domains/"+d["id"].(string)+"/check", nil, 200); d["state"] != "proven" {
		s.t.Fatal(d)
	}
	c.objects["domain"] = d["id"].(string)
	var people []object
	for i := range 3 {
		people = append(people, object{"surname": "Person", "given_name": string(rune('A' + i)), "addresses": []string{fmt.Sprintf("p%d@%s", i, domain)}})
	}
	for _, item := range s.json(token, "POST", base+"/people", object{"people": people}, 200)["items"].([]any) {
		c.people = append(c.people, item.(object)["person"].(object)["id"].(string))
	}
	c.objects["person"] = c.people[0]
	orders := s.json(token, "POST", base+"/orders", object{"people": c.people[:2]}, 200)["items"].([]any)
	first := orders[0].(object)["order"].(object)["id"].(string)
	c.objects["order"] = orders[1].(object)["order"].(object)["id"].(string)
	enrolled := s.json(token, "POST", base+"/orders/enroll", object{"requests": []object{{"order": first, "request": s.request()}}}, 200)
	if text, _ := enrolled["items"].([]any)[0].(object)["certificate"].(string); !strings.Contains(text, "BEGIN CERTIFICATE") {
		s.t.Fatal(enrolled)
	}
	person := s.json(token, "GET", base+"/people/"+c.people[0], nil, 200)
	c.objects["certificate"] = person["certificates"].([]any)[0].(object)["id"].(string)
	c.objects["evidence"] = s.json(token, "POST", base+"/evidence", object{"method": "3.2.3.1", "reference": "file 7", "document": []byte("%PDF-")}, 201)["id"].(string)
	run := s.ask(token, "POST", base+"/runs?leave_out=problems", "text/csv", "email,surname,given name\nnew@"+domain+",New,Nora\n")
	var r object
	if err := json.Unmarshal(run.Body.Bytes(), &r); err != nil || run.Code != 201 {
		s.t.Fatalf("%d %s", run.Code, run.Body)
	}
	c.objects["run"] = r["id"].(string)
	s.escrow(c, name, token, base)
	return c
}

// request is a certification request for a new key.
func (s *server) request() string {
	s.t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, newKey(s.t))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// escrow makes officers and a request for a key, which they released.
func (s *server) escrow(c *company, name, token, base string) {
	s.t.Helper()
	ctx, ca := s.t.Context(), testca.New(s.t)
	valid := testca.Validity(s.clock().Add(-time.Hour), s.clock().AddDate(1, 0, 0))
	c.leaf = ca.Leaf(name+"@example.org", testca.P256, valid)
	org := c.objects["organization"]
	officers := map[string]*testca.Leaf{}
	var actors []auth.Actor
	var in []object
	for i := range 3 {
		id := fmt.Sprintf("%s-officer-%d", name, i)
		actors = append(actors, s.account(id, auth.Grant{Role: auth.RecoveryOfficer, Organization: org}))
		officers[id] = ca.Leaf(id+"@example.org", testca.P256, valid)
		in = append(in, object{"account": id, "certificate": string(officers[id].Certificate.PEM())})
	}
	q := s.json(token, "POST", base+"/recovery/officers", object{"officers": in}, 201)
	answer := func(a auth.Actor, kind recovery.Kind, id string) {
		s.t.Helper()
		task, err := s.recovery.Task(ctx, a, org, kind, id)
		if err != nil {
			s.t.Fatal(err)
		}
		reply, err := task.Answer(rand.Reader, []*cms.RecipientKey{{Key: officers[a.ID].Key, Certificate: officers[a.ID].Certificate}})
		if err == nil {
			err = s.recovery.Answer(ctx, a, org, reply)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	for _, a := range actors {
		answer(a, recovery.Confirm, q["id"].(string))
	}
	st := s.json(token, "GET", base+"/recovery/officers", nil, 200)
	for i, o := range st["active"].(object)["officers"].([]any) {
		if want := fmt.Sprintf("%s-officer-%d@example.org", name, i); o.(object)["email"] != want {
			s.t.Errorf("an officer is %v, not %s", o, want)
		}
	}
	lost := ca.Leaf("lost-"+name+"@example.org", testca.P256, testca.KeyUsage(x509.KeyUsageKeyAgreement), valid, testca.Emails("p0@"+name+".example"))
	quorum, err := s.recovery.Quorum(ctx, org)
	if err != nil {
		s.t.Fatal(err)
	}
	sealed, err := quorum.Seal(rand.Reader, lost.Key)
	if err == nil {
		err = s.db.Update(ctx, func(tx *store.Tx) error { return s.recovery.Escrow(ctx, tx, org, c.people[0], sealed) })
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.json(token, "POST", base+"/certificates", nil, 415) // a file is missing
	w := s.ask(token, "POST", base+"/certificates", "application/pkix-cert", string(lost.Certificate.Raw))
	if w.Code != 200 || strings.Contains(w.Body.String(), `"problem"`) {
		s.t.Fatalf("%d %s", w.Code, w.Body)
	}
	r := s.json(token, "POST", base+"/recovery/requests", object{"person": c.people[0], "recipient": string(c.leaf.Certificate.PEM()), "reason": "the laptop was stolen"}, 201)
	c.objects["request"] = r["id"].(string)
	for _, a := range actors[:2] {
		answer(a, recovery.Release, r["id"].(string))
	}
}

// example is a body for each operation that has one: one that its own
// organization's administrator may send.
func (c *company) example(s *server, o operation) (media, body string) {
	text := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			s.t.Fatal(err)
		}
		return string(b)
	}
	ids := object{"ids": []string{c.objects["order"]}}
	var officers []object
	for i := range 3 {
		officers = append(officers, object{"account": fmt.Sprintf("x%d", i), "certificate": string(c.leaf.Certificate.PEM())})
	}
	list := "email,surname,given name\nmore@example.com,More,Mia\n"
	switch o.id {
	case "importCertificates", "takeExternalCertificate":
		return "application/pkix-cert", string(c.leaf.Certificate.Raw)
	case "previewRun", "startRun":
		return "text/csv", list
	}
	bodies := map[string]any{
		"openOrder": object{"email": "x"}, "proveMailbox": object{"code": "x"}, "enroll": nil,
		"reportProblem": object{"problem": "other"}, "answerProblemReport": object{"text": "no"}, "closeProblemReport": object{"outcome": "keep"},
		"createOrganization": object{"name": "New Ltd", "country": "GB"}, "renameOrganization": object{"name": "Renamed Ltd", "country": "GB"},
		"setSettings": settings(), "setStanding": object{"standing": "suspended"}, "acceptAgreement": object{"version": registration.AgreementVersion},
		"addDomain": object{"name": "more.example"}, "submitEvidence": object{"method": "3.2.3.1", "reference": "file 8"},
		"addPeople":    object{"people": []object{{"surname": "X", "addresses": []string{"x@example.com"}}}},
		"changePerson": object{"surname": "Changed", "addresses": []string{"p0@example.com"}}, "dismissPeople": object{"ids": c.people[2:]}, "peopleLeave": object{"ids": c.people[2:]},
		"orderFor": object{"people": c.people[2:]}, "approveOrders": ids, "refuseOrders": object{"ids": ids["ids"], "reason": "not needed"},
		"enrollOrders":       object{"requests": []object{{"order": c.objects["order"], "request": s.request()}}},
		"revokeCertificates": object{"ids": []string{c.objects["certificate"]}, "reason": "superseded"},
		"revokePeople":       object{"text": "nobody", "reason": "superseded"}, "startRunOfPeople": object{"ids": c.people[1:2]},
		"redeemInvitation": object{"code": "x"}, "pickUp": object{"code": "x"},
		"proposeOfficers": object{"officers": officers}, "requestKeys": object{"person": c.objects["person"], "recipient": string(c.leaf.Certificate.PEM()), "reason": "the laptop was stolen"},
	}
	in, known := bodies[o.id]
	if !known {
		s.t.Fatalf("%s has a body, and the test no example of it", o.id)
	}
	return "application/json", text(in)
}

func settings() registration.Settings {
	s := registration.DefaultSettings()
	s.Algorithm = "p256"
	return s
}

var inBraces = regexp.MustCompile(`\{([a-z_]+)\}`)

// fill puts ids into a path: the organization of one, everything else of another.
func fill(path string, of, things *company) string {
	return inBraces.ReplaceAllStringFunc(path, func(name string) string {
		name = strings.Trim(name, "{}")
		if name == "organization" {
			return of.objects[name]
		}
		if id := things.objects[name]; id != "" {
			return id
		}
		return "none"
	})
}

// TestMatrix holds every endpoint against every role, on what is one's own and on
// what is another's, and with the one's ids in the other's place: what the
// document says is what is so.
func TestMatrix(t *testing.T) {
	s := serve(t)
	ours, theirs := s.found("ours"), s.found("theirs")
	operator, validator := s.operator, s.validator
	auditor := s.account("auditor", auth.Grant{Role: auth.Auditor})
	mine := func(r auth.Role) auth.Grant { return auth.Grant{Role: r, Organization: ours.objects["organization"]} }
	tokens := []struct {
		scope string
		token string
	}{
		{"administrator", s.token(ours.admin, mine(auth.Administrator))},
		{"reader", s.token(ours.admin, mine(auth.Reader))},
		{"operator", s.token(operator, auth.Grant{Role: auth.Operator})},
		{"validator", s.token(validator, auth.Grant{Role: auth.Validator})},
		{"auditor", s.token(auditor, auth.Grant{Role: auth.Auditor})},
		{"reader of all", s.token(operator, auth.Grant{Role: auth.Reader})},
	}
	operations := s.operations()
	calls, allowed := 0, 0
	issued := s.issued()
	try := func(o operation, token, path string, c *company) int {
		t.Helper()
		calls++
		media, body := "", ""
		if o.body {
			media, body = c.example(s, o)
		}
		if strings.HasSuffix(path, "/recovery/keys") {
			path += "?person=" + c.objects["person"]
		}
		s.later() // no limit of requests in a second
		w := s.ask(token, o.method, path, media, body)
		if w.Code >= 500 {
			t.Errorf("%s: %d %s", o.id, w.Code, w.Body)
		}
		return w.Code
	}
	refused := func(code int) bool { return code == 401 || code == 403 }

	// What must be refused comes first: it changes nothing.
	for _, o := range operations {
		if o.open {
			continue
		}
		for _, token := range []string{"", "x", auth.TokenPrefix + "x.y", strings.Repeat("x", 5000)} {
			if code := try(o, token, fill(o.path, ours, ours), ours); code != 401 {
				t.Errorf("%s with the token %.20q: %d", o.id, token, code)
			}
		}
		for _, who := range tokens {
			scope, all := strings.CutSuffix(who.scope, " of all")
			declared := o.scopes == nil || slices.Contains(o.scopes, scope)
			inPath := strings.Contains(o.path, "{organization}")
			if !declared {
				if code := try(o, who.token, fill(o.path, ours, ours), ours); code != 403 {
					t.Errorf("%s as %s: %d, and the document does not name the role", o.id, who.scope, code)
				}
			}
			local := (scope == "administrator" || scope == "reader") && !all
			if !local || !strings.Contains(o.path, "{") {
				continue
			}
			// The other's organization, the other's things in one's own, and one's own
			// things in the other's.
			paths := []string{fill(o.path, theirs, theirs)}
			if inPath && strings.Count(o.path, "{") > 1 {
				paths = append(paths, fill(o.path, ours, theirs), fill(o.path, theirs, ours))
			}
			for i, path := range paths {
				things := theirs
				if i == 2 {
					things = ours
				}
				if code := try(o, who.token, path, things); code < 400 {
					t.Errorf("%s as %s of another organization: %d (%d)", o.id, who.scope, code, i)
				}
			}
			if inPath && o.body {
				// In one's own organization, with the other's ids in the body.
				s.foreignBody(o, who.token, fill(o.path, ours, ours), theirs)
			}
		}
	}
	if n := s.issued(); n != issued {
		t.Errorf("%d certificates were made by whom the document does not name", n-issued)
	}

	// What is declared is not refused: first what looks, last what ends things.
	slices.SortStableFunc(operations, func(a, b operation) int { return rank(a) - rank(b) })
	for _, o := range operations {
		for _, who := range tokens {
			scope, _ := strings.CutSuffix(who.scope, " of all")
			if o.open || o.scopes != nil && !slices.Contains(o.scopes, scope) || o.id == "revokeToken" {
				continue
			}
			// An administrator may close the organization, which would end everything;
			// and none of its orders is for an authority outside.
			if who.scope == "administrator" && (o.id == "setStanding" || o.id == "takeExternalCertificate") {
				continue
			}
			allowed++
			path := fill(o.path, ours, ours)
			if code := try(o, who.token, path, ours); refused(code) && !strings.Contains(path, "none") {
				t.Errorf("%s as %s: %d, though the document names the role", o.id, who.scope, code)
			}
		}
	}
	t.Logf("%d operations, %d calls, %d of them allowed", len(operations), calls, allowed)
	if calls < 800 || allowed < 150 {
		t.Error("too few")
	}
}

// rank puts what ends something behind the rest.
func rank(o operation) int {
	switch {
	case o.method == "GET":
		return 0
	case o.method == "DELETE" || o.id == "setStanding":
		return 3
	case o.id == "dismissPeople" || o.id == "peopleLeave" || o.id == "revokeCertificates" || o.id == "refuseOrders" || o.id == "withdrawRecoveryRequest" || o.id == "cancelRun":
		return 2
	}
	return 1
}

// foreignBody sends ids of another organization in a body to one's own: nothing
// of the other's comes back, and nothing of it is changed.
func (s *server) foreignBody(o operation, token, path string, theirs *company) {
	s.t.Helper()
	touches := []string{"dismissPeople", "peopleLeave", "orderFor", "approveOrders", "refuseOrders", "enrollOrders", "revokeCertificates", "startRunOfPeople", "requestKeys"}
	if !slices.Contains(touches, o.id) {
		return
	}
	media, body := theirs.example(s, o)
	s.later()
	w := s.ask(token, o.method, path, media, body)
	if w.Code >= 400 || strings.Contains(w.Body.String(), `"problem"`) {
		return // all of it, or each of its parts
	}
	s.t.Errorf("%s with the ids of another organization: %d %s", o.id, w.Code, w.Body)
}

// later lets a second pass.
func (s *server) later() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(time.Second)
}

func (s *server) issued() (n int) {
	s.t.Helper()
	err := s.db.View(context.Background(), func(tx *store.Tx) error {
		return tx.RecordedCertificates(func(store.Recorded, error) error { n++; return nil })
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// TestEveryMethod tries every method on every path for every role, which is row 16
// of the threat table: what the table does not have does nothing.
func TestEveryMethod(t *testing.T) {
	s := serve(t)
	ours := s.found("ours")
	tokens := []string{
		"", "x", s.token(ours.admin, ours.admin.Grants...), s.token(s.operator, auth.Grant{Role: auth.Operator}),
		s.token(s.account("auditor", auth.Grant{Role: auth.Auditor}), auth.Grant{Role: auth.Auditor}),
		s.token(s.validator, auth.Grant{Role: auth.Validator}),
	}
	there := map[string]bool{}
	var paths []string
	for _, o := range s.operations() {
		there[o.method+" "+o.path] = true
		if !slices.Contains(paths, o.path) {
			paths = append(paths, o.path)
		}
	}
	issued, calls := s.issued(), 0
	for _, path := range append(paths, "/api/v2/orders", "/api/v1/", "/api/v1/organizations/{organization}/nothing", "/api/admin") {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} {
			if there[method+" "+path] || method == "HEAD" {
				continue
			}
			for _, token := range tokens {
				for _, body := range []string{"", `{"ids":["x"]}`} {
					calls++
					s.later()
					w := s.ask(token, method, fill(path, ours, ours), "application/json", body)
					if w.Code != http.StatusMethodNotAllowed && w.Code != http.StatusNotFound {
						t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
					}
				}
			}
		}
	}
	if n := s.issued(); n != issued || calls < 3000 {
		t.Errorf("%d certificates more after %d calls", n-issued, calls)
	}
}

// Who the recovery officers are is told to whoever seals a key for them, and to
// nobody else who holds an order's token.
func TestKeepers(t *testing.T) {
	s := serve(t)
	ours := s.found("ours")
	token, base := s.token(ours.admin, ours.admin.Grants...), "/api/v1/organizations/"+ours.objects["organization"]
	keepers := func(order string) *httptest.ResponseRecorder {
		t.Helper()
		s.later()
		_, secret, err := s.orders.OpenOrder(t.Context(), auth.Server(registration.PartEnrollment), order)
		if err != nil {
			t.Fatal(err)
		}
		return s.ask(secret, "GET", "/api/v1/orders/"+order+"/keepers", "", "")
	}
	refused := func(what, order string) {
		t.Helper()
		if w := keepers(order); w.Code != 409 || strings.Contains(w.Body.String(), "officer") || strings.Contains(w.Body.String(), "example.org") {
			t.Errorf("%s: %d %s", what, w.Code, w.Body)
		}
	}
	refused("where nothing is kept", ours.objects["order"])
	set := settings()
	set.Split, set.Escrow = true, true
	s.json(token, "PUT", base+"/settings", set, 200)
	refused("of a key that also signs", ours.objects["order"])
	orders := s.json(token, "POST", base+"/orders", object{"people": ours.people[2:]}, 200)["items"].([]any)
	pair := map[string]string{}
	for _, o := range orders {
		order := o.(object)["order"].(object)
		pair[order["use"].(string)] = order["id"].(string)
	}
	refused("of a key that signs", pair["signing"])
	if w := keepers(pair["encryption"]); w.Code != 200 || strings.Count(w.Body.String(), `"certificate"`) != 3 {
		t.Errorf("of the key that is kept: %d %s", w.Code, w.Body)
	}
}

// An Idempotency-Key has a request done once.
func TestIdempotency(t *testing.T) {
	s := serve(t)
	ours := s.found("ours")
	token, other := s.token(ours.admin, ours.admin.Grants...), s.token(ours.admin, ours.admin.Grants...)
	path := "/api/v1/organizations/" + ours.objects["organization"] + "/domains"
	ask := func(token, key, body string, header ...string) *httptest.ResponseRecorder {
		t.Helper()
		s.later()
		return s.ask(token, "POST", path, "application/json", body, append(header, "Idempotency-Key: "+key)...)
	}
	first := ask(token, "one", `{"name":"first.example"}`)
	again := ask(token, "one", `{"name":"first.example"}`)
	if first.Code != 201 || again.Code != 201 || !bytes.Equal(first.Body.Bytes(), again.Body.Bytes()) || again.Header().Get("Idempotency-Replayed") != "true" || first.Header().Get("Idempotency-Replayed") != "" {
		t.Errorf("%d %s\n%d %s", first.Code, first.Body, again.Code, again.Body)
	}
	if w := ask(token, "one", `{"name":"second.example"}`); w.Code != 422 || !strings.Contains(w.Body.String(), "idempotency-reused") {
		t.Errorf("another body: %d %s", w.Code, w.Body)
	}
	if w := s.ask(token, "POST", path+"?x=1", "application/json", `{"name":"first.example"}`, "Idempotency-Key: one"); w.Code != 422 {
		t.Errorf("other parameters: %d %s", w.Code, w.Body)
	}
	if w := ask(token, "two", `{"name":"first.example"}`); w.Code < 400 {
		t.Errorf("another key: %d %s", w.Code, w.Body)
	}
	refusal := ask(token, "bad", `{"name":"first.example"}`)
	if w := ask(token, "bad", `{"name":"first.example"}`); w.Code != refusal.Code || w.Body.String() != refusal.Body.String() {
		t.Errorf("a refusal again: %d %s", w.Code, w.Body)
	}
	if w := ask(other, "one", `{"name":"third.example"}`); w.Code != 201 {
		t.Errorf("another token's key: %d %s", w.Code, w.Body)
	}
	for _, key := range []string{"", "with space", "ü", strings.Repeat("x", 256)} {
		if w := ask(token, key, `{"name":"fourth.example"}`); w.Code != 400 || !strings.Contains(w.Body.String(), "idempotency-key") {
			t.Errorf("key %.10q: %d %s", key, w.Code, w.Body)
		}
	}
	if w := s.ask(token, "GET", path, "", "", "Idempotency-Key: x"); w.Code != 400 {
		t.Errorf("for a GET: %d %s", w.Code, w.Body)
	}
	// Of many at once one is done.
	results := make(chan int, 8)
	for range cap(results) {
		go func() {
			results <- s.ask(token, "POST", path, "application/json", `{"name":"many.example"}`, "Idempotency-Key: many").Code
		}()
	}
	for range cap(results) {
		if code := <-results; code != 201 && code != 409 {
			t.Errorf("at once: %d", code)
		}
	}
	s.mu.Lock()
	s.now = s.now.Add(25 * time.Hour)
	s.mu.Unlock()
	fresh := s.token(ours.admin, ours.admin.Grants...)
	if w := ask(fresh, "one", `{"name":"fifth.example"}`); w.Code != 201 {
		t.Errorf("a day later: %d %s", w.Code, w.Body)
	}
}

// Unknown members and parameters, and values that are none of those named, are
// refused by name.
func TestRefusedInput(t *testing.T) {
	s := serve(t)
	ours := s.found("ours")
	token := s.token(ours.admin, ours.admin.Grants...)
	base := "/api/v1/organizations/" + ours.objects["organization"]
	for _, test := range []struct{ method, path, body, field string }{
		{"GET", "/people?colour=red", "", "colour"},
		{"GET", "/people?limit=many", "", "limit"},
		{"GET", "/people?limit=0", "", ""},
		{"GET", "/people?limit=501", "", "limit"},
		{"GET", "/people?limit=5&limit=6", "", "limit"},
		{"GET", "/people?state=happy", "", "state"},
		{"GET", "/people?expiring_before=tomorrow", "", "expiring_before"},
		{"GET", "/people?cursor=nonsense", "", ""},
		{"GET", "/people?%zz", "", "query"},
		{"GET", "/recovery/keys", "", "person"},
		{"GET", "/recovery/requests?cursor=nonsense", "", "cursor"},
		{"GET", "/audit?cursor=0", "", "cursor"},
		{"POST", "/domains?x=1", `{"name":"x.example"}`, "x"},
		{"POST", "/domains", `{}`, "name"},
		{"POST", "/domains", `{"name":""}`, "name"},
		{"POST", "/domains", `{"name":7}`, "name"},
		{"POST", "/domains", `{"name":"x.example","extra":1}`, ""},
		{"POST", "/domains", `[]`, ""},
		{"POST", "/domains", `null`, ""},
		{"POST", "/domains", `{"name":"x.example"}{}`, ""},
		{"POST", "/people", `{"people":[{"surname":"X","addresses":[]}]}`, "people[0].addresses"},
		{"POST", "/people", `{"people":[{"surname":"X","addresses":["x@example.com"],"language":"de"}]}`, "people[0].language"},
		{"POST", "/certificates/revoke", `{"ids":["x"],"reason":"boredom"}`, "reason"},
		{"POST", "/runs/of-people", `{"ids":["x"],"mode":"magic"}`, "mode"},
		{"POST", "/people/revoke", `{"state":"happy","reason":"superseded"}`, "state"},
		{"PUT", "/settings", `{"kind":"basic"}`, ""},
		{"PUT", "/standing", `{"standing":"applied"}`, "standing"},
	} {
		s.later()
		w := s.ask(token, test.method, base+test.path, "application/json", test.body)
		var p struct {
			Status int    `json:"status"`
			Field  string `json:"field"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &p); test.path == "/people?limit=0" {
			continue
		} else if err != nil || w.Code != 400 && w.Code != 422 || p.Status != w.Code || test.field != "" && p.Field != test.field || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s %s: %d %s", test.method, test.path, test.body, w.Code, w.Body)
		}
	}
}

// Pages follow each other until the end, without a gap and nothing twice.
func TestPages(t *testing.T) {
	s := serve(t)
	ours := s.found("ours")
	token := s.token(ours.admin, ours.admin.Grants...)
	base := "/api/v1/organizations/" + ours.objects["organization"]
	for _, path := range []string{"/people", "/orders", "/runs", "/recovery/requests", "/audit"} {
		seen := map[string]bool{}
		cursor, pages := "", 0
		for {
			s.later()
			w := s.ask(token, "GET", base+path+"?limit=1"+cursor, "", "")
			var l struct {
				Items []map[string]any `json:"items"`
				Next  string           `json:"next"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &l); err != nil || w.Code != 200 || len(l.Items) > 1 {
				t.Fatalf("%s: %d %s", path, w.Code, w.Body)
			}
			for _, item := range l.Items {
				id := fmt.Sprint(item["id"], item["number"])
				if seen[id] {
					t.Fatalf("%s: %s is there twice", path, id)
				}
				seen[id] = true
			}
			if pages++; l.Next == "" || pages > 200 {
				break
			}
			cursor = "&cursor=" + l.Next
		}
		if len(seen) == 0 || pages > 200 {
			t.Errorf("%s: %d in %d pages", path, len(seen), pages)
		}
	}
}

// A program that asks without end is told to wait.
func TestLimit(t *testing.T) {
	s := serve(t)
	ours := s.found("ours")
	token := s.token(ours.admin, ours.admin.Grants...)
	for i := range 1000 {
		w := s.ask(token, "GET", "/api/v1/token", "", "")
		if w.Code == http.StatusTooManyRequests {
			if i < 100 || w.Header().Get("Retry-After") == "" {
				t.Errorf("request %d: %v", i, w.Header())
			}
			s.later()
			if w := s.ask(token, "GET", "/api/v1/token", "", ""); w.Code != 200 {
				t.Errorf("a second later: %d", w.Code)
			}
			return
		}
	}
	t.Error("a thousand requests at once")
}

// With an Idempotency-Key a request is done as a whole, though whoever sent it
// hangs up in the middle: who asks again finds that, and not a second one.
func TestIdempotencyHungUp(t *testing.T) {
	s := serve(t)
	ours := s.found("ours")
	token := s.token(ours.admin, ours.admin.Grants...)
	base := "/api/v1/organizations/" + ours.objects["organization"]
	people := make([]object, 401) // more than one transaction takes
	for i := range people {
		people[i] = object{"surname": "Many", "addresses": []string{fmt.Sprintf("many%d@ours.example", i)}}
	}
	var ids []string
	for _, item := range s.json(token, "POST", base+"/people", object{"people": people}, 200)["items"].([]any) {
		ids = append(ids, item.(object)["person"].(object)["id"].(string))
	}
	body, err := json.Marshal(object{"people": ids})
	if err != nil {
		t.Fatal(err)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	before := s.db.Stats().Changes
	go func() { // when the key is taken and the first ones are ordered
		for s.db.Stats().Changes < before+2 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		hangUp()
	}()
	r := httptest.NewRequestWithContext(ctx, "POST", base+"/orders", bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", "hung-up")
	s.Config.Handler.ServeHTTP(httptest.NewRecorder(), r)
	if w := s.ask(token, "POST", base+"/orders", "application/json", string(body), "Idempotency-Key: hung-up"); w.Code != 200 {
		t.Fatalf("again: %d %s", w.Code, w.Body)
	}
	p := s.json(token, "GET", base+"/people/"+ids[0], nil, 200)
	if orders := p["orders"].([]any); len(orders) != 1 {
		t.Errorf("%d orders for one person", len(orders))
	}
}

// A page of the largest size says that there are more, too.
func TestMoreThanAPageOfRuns(t *testing.T) {
	s := serve(t)
	ours := s.found("ours")
	token := s.token(ours.admin, ours.admin.Grants...)
	storetest.SQL(t, s.source, `INSERT INTO runs (id, organization_id, kind, mode, state, settings, list_hash, total, started_by, created_at)
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
		SELECT 'more' || i, '`+ours.objects["organization"]+`', 'import', 'invite', 'done', '{}', list_hash, 1, 'x', 1 FROM n, runs`)
	seen, pages := 0, 0
	for cursor := ""; ; pages++ {
		s.later()
		l := s.json(token, "GET", "/api/v1/organizations/"+ours.objects["organization"]+"/runs?limit=500"+cursor, nil, 200)
		seen += len(l["items"].([]any))
		next, _ := l["next"].(string)
		if next == "" {
			break
		}
		cursor = "&cursor=" + next
	}
	if seen != 501 || pages != 1 {
		t.Errorf("%d runs in %d pages", seen, pages+1)
	}
}
