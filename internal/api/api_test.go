package api_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/api"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/jobs"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/outbox"
	"github.com/mailseal/mailseal/internal/problemreport"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/repository"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
	"github.com/mailseal/mailseal/internal/testdns"
	"github.com/mailseal/mailseal/internal/validation"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// server is the API and the repository on a real listener.
type server struct {
	*httptest.Server
	t         *testing.T
	db        *store.DB
	source    string // of the store
	dir       string // of the keys
	box       *outbox.Outbox
	bulk      *enrollment.Service
	authority *authority.Authority
	log       *bytes.Buffer
	dns       *testdns.Server
	orders    *registration.Service
	accounts  *auth.Service
	recovery  *recovery.Service

	operator, validator auth.Actor

	mu    sync.Mutex
	mails []validation.Mail
	fail  error
	now   time.Time
	beat  chan time.Time // where there is one, requests under way are held by it
	beats time.Duration  // how often they asked for
}

// ticker implements api.Options.Ticker.
func (s *server) ticker(every time.Duration) (<-chan time.Time, func()) {
	if s.beat == nil {
		t := time.NewTicker(every)
		return t.C, t.Stop
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beats = every
	return s.beat, func() { close(s.beat) }
}

func (s *server) Send(_ context.Context, m validation.Mail) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail == nil {
		s.mails = append(s.mails, m)
	}
	return s.fail
}

func (s *server) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *server) code() string {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	code := regexp.MustCompile(`(?m)^[A-Z0-9-]{24,40}$`).FindString(s.mails[len(s.mails)-1].Text)
	if code == "" {
		s.t.Fatal("no code in the mail")
	}
	return code
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func serve(t *testing.T) *server {
	t.Helper()
	return serveIn(t, t.TempDir(), storetest.Source(t), "")
}

// serveIn serves what is in a store. Dns is the address of a resolver; where it is
// empty there is one of the test's own, and the store is new.
func serveIn(t *testing.T, dir, source, dns string) *server {
	t.Helper()
	s := &server{t: t, log: &bytes.Buffer{}, now: time.Now(), source: source, dir: dir}
	db, err := store.Open(t.Context(), s.source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s.db = db
	wait := time.Hour
	if dns == "" {
		s.dns = testdns.New(t)
		dns, wait = s.dns.Address, time.Second
	}
	v := &validation.Validator{Clock: s.clock, Resolver: validation.DNS{Server: dns, Timeout: wait}}
	ring := &keys.Keys{Dir: dir, Plaintext: true}
	options := authority.Options{
		Store: db, Keys: ring, Validation: v, Clock: s.clock,
		GenerateKey: func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
	}
	if s.dns == nil {
		s.authority, err = authority.Open(t.Context(), options)
	} else {
		s.authority, err = authority.Found(t.Context(), options, authority.Founding{BaseURL: "http://ca.example.org", Dev: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(s.log, nil))
	mux := http.NewServeMux()
	box, err := outbox.New(outbox.Options{Store: db, Clock: s.clock, Log: log, Poll: 10 * time.Millisecond, Alone: true})
	if err != nil {
		t.Fatal(err)
	}
	mails := mailqueue.New(mailqueue.Options{Store: db, Outbox: box, Mailer: s, Clock: s.clock, Log: log})
	s.recovery = recovery.New(recovery.Options{Store: db, Mails: mails, Clock: s.clock, Log: log})
	s.orders = registration.New(registration.Options{
		Store: db, Validation: v, Issuer: s.authority, Mails: mails, Escrow: s.recovery, Clock: s.clock, Log: log,
	})
	bulk, err := enrollment.New(t.Context(), enrollment.Options{
		Store: db, Outbox: box, Mails: mails, Registration: s.orders, Keys: ring, Site: "http://ca.example.org", Clock: s.clock, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.box, s.bulk = box, bulk
	s.accounts = auth.New(auth.Options{Store: db, Clock: s.clock})
	s.accounts.Govern(s.orders)
	s.accounts.Entrust(s.recovery)
	reports := problemreport.New(problemreport.Options{
		Store: db, Authority: s.authority, Mails: mails, Site: "http://ca.example.org", Clock: s.clock, Log: log,
	})
	door, err := api.New(api.Options{
		Registration: s.orders, Reports: reports, Recovery: s.recovery, Jobs: jobs.New(jobs.Options{Store: db, Clock: s.clock}), Enrollment: bulk, Accounts: s.accounts, Store: db, Clock: s.clock, Ticker: s.ticker, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle("/api/", door)
	s.Server = httptest.NewServer(repository.New(s.authority, s.clock, log, mux))
	t.Cleanup(s.Close)
	return s
}

// reply is an answer, read.
type reply struct {
	*http.Response
	body []byte
}

func (r reply) member(t *testing.T, name string) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(r.body, &m); err != nil {
		t.Fatalf("%s: %v", r.body, err)
	}
	v, _ := m[name].(string)
	return v
}

// send makes one request; header lines are "Name: value".
func (s *server) send(method, path, body string, header ...string) reply {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	res, err := s.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{res, all}
}

const (
	asJSON   = "Content-Type: application/json"
	asPKCS10 = "Content-Type: application/pkcs10"
)

func (s *server) apply(email string) (id, token string) {
	s.t.Helper()
	r := s.send("POST", "/api/v1/orders", `{"email":"`+email+`","name":"Alice"}`, asJSON)
	if r.StatusCode != http.StatusCreated {
		s.t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	return r.member(s.t, "id"), r.member(s.t, "token")
}

func request(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := cert.CreateRequest(rand.Reader, key, &cert.RequestTemplate{Emails: []string{"alice@example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// The line that `mailseal id request` walks.
func TestLine(t *testing.T) {
	s := serve(t)
	r := s.send("POST", "/api/v1/orders", `{"email":"alice@example.org","name":"Alice","language":"ja"}`, asJSON)
	if r.StatusCode != http.StatusCreated || r.member(t, "email") != "alice@example.org" || r.member(t, "state") != "applied" {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	expires, err := time.Parse(time.RFC3339, r.member(t, "expires"))
	if err != nil || expires.Sub(s.now) > 24*time.Hour || expires.Sub(s.now) < 23*time.Hour {
		t.Errorf("expires %v, %v", expires, err)
	}
	order := "/api/v1/orders/" + r.member(t, "id")
	bearer := "Authorization: Bearer " + r.member(t, "token")
	if got := r.Header.Get("Location"); got != order {
		t.Errorf("Location %q", got)
	}
	if s.mails[0].Language != "ja" {
		t.Errorf("mailed in %q", s.mails[0].Language)
	}
	first := s.code()
	if r = s.send("POST", order+"/mail", "", bearer); r.StatusCode != http.StatusOK || s.code() == first {
		t.Errorf("a new mail: %d %s", r.StatusCode, r.body)
	}
	if r = s.send("POST", order+"/code", `{"code":"`+s.code()+`"}`, asJSON, bearer); r.StatusCode != http.StatusOK || r.member(t, "state") != "proven" {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	key := newKey(t)
	der := request(t, key)
	var certificates []string
	for header, body := range map[string]string{
		asPKCS10:                               string(der),
		"Content-Type: application/x-pem-file": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})),
	} {
		if r = s.send("POST", order+"/certificate", body, header, bearer); r.StatusCode != http.StatusCreated {
			t.Fatalf("%s: %d %s", header, r.StatusCode, r.body)
		}
		certificates = append(certificates, checkIssued(t, r.body, s.authority))
	}
	if certificates[0] != certificates[1] {
		t.Error("the same request twice: two certificates")
	}
	if r = s.send("GET", order, "", bearer); r.StatusCode != http.StatusOK || r.member(t, "state") != "issued" || r.member(t, "token") != "" {
		t.Errorf("in the end: %d %s", r.StatusCode, r.body)
	}
}

func checkIssued(t *testing.T, body []byte, a *authority.Authority) string {
	t.Helper()
	var out struct {
		Certificate string
		Chain       []string
		Root        string
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		t.Fatal(err)
	}
	if len(out.Chain) != 1 || out.Chain[0] != string(a.Chain()[0].PEM()) || out.Root != string(a.Root().PEM()) {
		t.Errorf("chain %q, root %q", out.Chain, out.Root)
	}
	leaf, err := cert.ParseAll([]byte(out.Certificate))
	if err != nil || len(leaf) != 1 {
		t.Fatal(err)
	}
	if err := leaf[0].CheckSignatureFrom(a.Chain()[0]); err != nil {
		t.Error(err)
	}
	return out.Certificate
}

// What is refused, with which status and code, and that nothing else is said.
func TestRefusals(t *testing.T) {
	s := serve(t)
	id, token := s.apply("alice@example.org")
	code := s.code()
	otherID, otherToken := s.apply("bob@example.org")
	order, bearer := "/api/v1/orders/"+id, "Authorization: Bearer "+token
	csr := string(request(t, newKey(t)))
	for _, test := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		code                     string
	}{
		{"no such page", "GET", "/api/v1/nothing", "", nil, 404, "not-found"},
		{"no such version", "POST", "/api/v2/orders", "{}", []string{asJSON}, 404, "not-found"},
		{"list", "GET", "/api/v1/orders", "", nil, 405, "method"},
		{"no media type", "POST", "/api/v1/orders", `{"email":"a@example.org"}`, nil, 415, "media-type"},
		{"a form", "POST", "/api/v1/orders", `email=a@example.org`, []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "media-type"},
		{"a form in disguise", "POST", "/api/v1/orders", `{"email":"a@example.org"}`, []string{"Content-Type: text/plain"}, 415, "media-type"},
		{"no JSON", "POST", "/api/v1/orders", `email`, []string{asJSON}, 400, "json"},
		{"two values", "POST", "/api/v1/orders", `{"email":"a@example.org"}{}`, []string{asJSON}, 400, "json"},
		{"unknown member", "POST", "/api/v1/orders", `{"email":"a@example.org","profile":"ca"}`, []string{asJSON}, 400, "json"},
		{"wrong type", "POST", "/api/v1/orders", `{"email":["a@example.org"]}`, []string{asJSON}, 400, "field"},
		{"too large", "POST", "/api/v1/orders", `{"email":"` + strings.Repeat("a", 20000) + `"}`, []string{asJSON}, 413, "too-large"},
		{"no address", "POST", "/api/v1/orders", `{}`, []string{asJSON}, 400, "address"},
		{"two addresses", "POST", "/api/v1/orders", `{"email":"a@example.org,b@example.org"}`, []string{asJSON}, 400, "address"},
		{"line end in the address", "POST", "/api/v1/orders", `{"email":"a@example.org\r\nRCPT TO:<b@example.org>"}`, []string{asJSON}, 400, "address"},
		{"odd name", "POST", "/api/v1/orders", `{"email":"a@example.org","name":"a\u0000"}`, []string{asJSON}, 400, "name"},
		{"no token", "GET", order, "", nil, 401, "no-token"},
		{"token of another scheme", "GET", order, "", []string{"Authorization: Basic " + token}, 401, "no-token"},
		{"token in the address", "GET", order + "?access_token=" + token, "", nil, 401, "no-token"},
		{"token in a cookie", "GET", order, "", []string{"Cookie: token=" + token}, 401, "no-token"},
		{"token of another order", "GET", order, "", []string{"Authorization: Bearer " + otherToken}, 404, "not-found"},
		{"order of another token", "GET", "/api/v1/orders/" + otherID, "", []string{bearer}, 404, "not-found"},
		{"no such order", "GET", "/api/v1/orders/x", "", []string{bearer}, 404, "not-found"},
		{"code without a token", "POST", order + "/code", `{"code":"` + code + `"}`, []string{asJSON}, 401, "no-token"},
		{"code with another token", "POST", order + "/code", `{"code":"` + code + `"}`, []string{asJSON, "Authorization: Bearer " + otherToken}, 404, "not-found"},
		{"code for another order", "POST", "/api/v1/orders/" + otherID + "/code", `{"code":"` + code + `"}`, []string{asJSON, "Authorization: Bearer " + otherToken}, 403, "wrong-code"},
		{"code by GET", "GET", order + "/code?code=" + code, "", []string{bearer}, 405, "method"},
		{"not a code", "POST", order + "/code", `{"code":"yes"}`, []string{asJSON, bearer}, 400, "not-a-code"},
		{"wrong code", "POST", order + "/code", `{"code":"BBBBB-BBBBB-BBBBB-BBBBB-BBBBB-BBBBB"}`, []string{asJSON, bearer}, 403, "wrong-code"},
		{"too early", "POST", order + "/certificate", csr, []string{asPKCS10, bearer}, 409, "state"},
		{"certificate without a token", "POST", order + "/certificate", csr, []string{asPKCS10}, 401, "no-token"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.t = t
			r := s.send(test.method, test.path, test.body, test.header...)
			checkProblem(t, r, test.status, test.code)
			for _, secret := range []string{token, otherToken, code} {
				if bytes.Contains(r.body, []byte(secret)) {
					t.Errorf("the answer has a secret: %s", r.body)
				}
			}
		})
	}
	s.t = t
	if r := s.send("POST", order+"/code", `{"code":"`+code+`"}`, asJSON, bearer); r.StatusCode != 200 {
		t.Fatalf("after all this the right code: %d %s", r.StatusCode, r.body)
	}
	checkProblem(t, s.send("POST", order+"/certificate", "nonsense", asPKCS10, bearer), 400, "request")
	checkProblem(t, s.send("POST", order+"/certificate", csr, asJSON, bearer), 415, "media-type")
	checkProblem(t, s.send("POST", order+"/certificate", strings.Repeat("a", 70000), asPKCS10, bearer), 413, "too-large")
	if r := s.send("POST", order+"/certificate", csr, asPKCS10, bearer); r.StatusCode != 201 {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	checkProblem(t, s.send("POST", order+"/certificate", string(request(t, newKey(t))), asPKCS10, bearer), 409, "other-key")
	for _, secret := range []string{token, otherToken, code} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

func checkProblem(t *testing.T, r reply, status int, code string) {
	t.Helper()
	if r.StatusCode != status || r.member(t, "code") != code || r.member(t, "title") == "" {
		t.Errorf("%d %s, want %d %q", r.StatusCode, r.body, status, code)
	}
	if got := r.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type %q", got)
	}
	if got := r.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	if (status == 401) != (r.Header.Get("WWW-Authenticate") != "") {
		t.Errorf("%d with WWW-Authenticate %q", status, r.Header.Get("WWW-Authenticate"))
	}
}

// Whoever has the mail but not the session proves nothing, by any method on
// any address.
func TestScanner(t *testing.T) {
	s := serve(t)
	id, token := s.apply("alice@example.org")
	code := s.code()
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"} {
		for _, path := range []string{"/api/v1/orders", "/api/v1/orders/" + id, "/api/v1/orders/" + id + "/code", "/api/v1/orders/" + id + "/mail", "/api/v1/orders/" + id + "/certificate"} {
			for _, query := range []string{"", "?code=" + code} {
				for _, body := range []string{"", `{"code":"` + code + `"}`, "code=" + code} {
					for _, media := range []string{asJSON, asPKCS10, "Content-Type: application/x-www-form-urlencoded", "Content-Type: text/plain"} {
						r := s.send(method, path+query, body, media, "Authorization: Bearer "+code)
						if r.StatusCode < 400 {
							t.Errorf("%s %s%s %q %s: %d %s", method, path, query, body, media, r.StatusCode, r.body)
						}
					}
				}
			}
		}
	}
	r := s.send("GET", "/api/v1/orders/"+id, "", "Authorization: Bearer "+token)
	if r.member(t, "state") != "applied" {
		t.Errorf("the order is %s", r.body)
	}
	if r := s.send("POST", "/api/v1/orders/"+id+"/code", `{"code":"`+code+`"}`, asJSON, "Authorization: Bearer "+token); r.StatusCode != 200 {
		t.Errorf("afterwards the session itself: %d %s", r.StatusCode, r.body)
	}
}

// TestCutOff sends half a body: that is the sender's trouble and not for our log.
func TestCutOff(t *testing.T) {
	s := serve(t)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const request = "POST /api/v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
	if _, err := conn.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusBadRequest || s.log.Len() != 0 {
		t.Errorf("%s, logged: %s", answer.Status, s.log)
	}
}

func TestTrouble(t *testing.T) {
	s := serve(t)
	for range 3 {
		s.apply("alice@example.org")
	}
	r := s.send("POST", "/api/v1/orders", `{"email":"alice@example.org"}`, asJSON)
	checkProblem(t, r, 429, "too-many")
	if r.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.fail = &validation.UndeliverableError{Reason: "no such person"}
	r = s.send("POST", "/api/v1/orders", `{"email":"bob@example.org"}`, asJSON)
	checkProblem(t, r, 422, "undeliverable")
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	s.fail = nil
	r2 := s.send("POST", "/api/v1/orders", `{"email":"carol@example.org"}`, asJSON)
	checkProblem(t, r2, 500, "internal")
	for _, leak := range []string{"192.0.2.1", "sql", "store"} {
		if bytes.Contains(r.body, []byte(leak)) || bytes.Contains(r2.body, []byte(leak)) {
			t.Errorf("an answer says %q: %s %s", leak, r.body, r2.body)
		}
	}
	if !strings.Contains(s.log.String(), "the database is closed") {
		t.Errorf("the log does not say what broke: %s", s.log)
	}
}

func TestRepository(t *testing.T) {
	s := serve(t)
	for _, name := range []string{"root", "issuing"} {
		c, err := s.authority.Certificate(name)
		if err != nil {
			t.Fatal(err)
		}
		list, err := s.authority.CRL(t.Context(), name, 0)
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]struct {
			media string
			body  []byte
		}{
			"/ca/" + name + ".cer":  {"application/pkix-cert", c.Raw},
			"/ca/" + name + ".pem":  {"application/x-pem-file", c.PEM()},
			"/crl/" + name + ".crl": {"application/pkix-crl", list.DER},
		} {
			r := s.send("GET", path, "")
			if r.StatusCode != 200 || !bytes.Equal(r.body, want.body) || r.Header.Get("Content-Type") != want.media {
				t.Errorf("%s: %d, %s, %d bytes", path, r.StatusCode, r.Header.Get("Content-Type"), len(r.body))
			}
			if cc := r.Header.Get("Cache-Control"); !strings.HasPrefix(cc, "public, max-age=") || cc == "public, max-age=0" {
				t.Errorf("%s: Cache-Control %q", path, cc)
			}
			if again := s.send("GET", path, "", "If-None-Match: "+r.Header.Get("ETag")); again.StatusCode != http.StatusNotModified || len(again.body) != 0 {
				t.Errorf("%s again: %d", path, again.StatusCode)
			}
			if head := s.send("HEAD", path, ""); head.StatusCode != 200 || head.Header.Get("Content-Length") == "" || len(head.body) != 0 {
				t.Errorf("HEAD %s: %d", path, head.StatusCode)
			}
			if post := s.send("POST", path, ""); post.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("POST %s: %d", path, post.StatusCode)
			}
		}
	}
	for _, path := range []string{"/ca/", "/crl/", "/ca/nobody.cer", "/crl/nobody.crl", "/ca/root", "/ca/root.key", "/crl/root.cer", "/ca/..%2fkeys", "/ca/root.cer/x"} {
		if r := s.send("GET", path, ""); r.StatusCode != 404 {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
	before := s.send("GET", "/crl/issuing.crl", "")
	s.mu.Lock()
	s.now = s.now.Add(25 * time.Hour)
	s.mu.Unlock()
	after := s.send("GET", "/crl/issuing.crl", "", "If-None-Match: "+before.Header.Get("ETag"))
	if after.StatusCode != 200 || bytes.Equal(before.body, after.body) {
		t.Errorf("a day later: %d, the same list: %v", after.StatusCode, bytes.Equal(before.body, after.body))
	}
}

// The document and the page say of every route what the table does, and nothing
// of the page is from elsewhere.
func TestDocument(t *testing.T) {
	s := serve(t)
	r := s.send("GET", "/api/openapi.json", "")
	var doc struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Parameters  []struct {
				Name string `json:"name"`
				In   string `json:"in"`
			} `json:"parameters"`
			Responses map[string]any `json:"responses"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(r.body, &doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.1.") {
		t.Fatalf("%v: %.80s", err, r.body)
	}
	page := s.send("GET", "/api/", "")
	if page.Header.Get("Content-Type") != "text/html; charset=utf-8" || strings.Contains(string(page.body), "<script") || strings.Contains(string(page.body), "http://") || strings.Contains(string(page.body), "https://") {
		t.Errorf("%v %.200s", page.Header, page.body)
	}
	sum := sha256.Sum256([]byte(regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(string(page.body))[1]))
	if !strings.Contains(page.Header.Get("Content-Security-Policy"), base64.StdEncoding.EncodeToString(sum[:])) {
		t.Error("the page's style does not pass its policy")
	}
	seen, ids := 0, map[string]bool{}
	for path, methods := range doc.Paths {
		for method, o := range methods {
			seen++
			if ids[o.OperationID] || o.OperationID == "" {
				t.Errorf("%s %s: operationId %q", method, path, o.OperationID)
			}
			ids[o.OperationID] = true
			inPath := 0
			for _, p := range o.Parameters {
				if p.In == "path" {
					inPath++
				}
			}
			if inPath != strings.Count(path, "{") {
				t.Errorf("%s %s: %v", method, path, o.Parameters)
			}
			if !strings.Contains(string(page.body), strings.ToUpper(method)+" "+path) {
				t.Errorf("the page lacks %s %s", method, path)
			}
			// What is documented is served: nothing answers that it is not there.
			answer := s.send(strings.ToUpper(method), strings.NewReplacer("{", "", "}", "").Replace(path), "")
			if answer.StatusCode == http.StatusMethodNotAllowed || strings.Contains(string(answer.body), "There is nothing here.") || answer.StatusCode >= 500 {
				t.Errorf("%s %s: %d %s", method, path, answer.StatusCode, answer.body)
			}
		}
	}
	if seen < 7 {
		t.Errorf("%d routes", seen)
	}
}

func read(t *testing.T, body string) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return m
}
