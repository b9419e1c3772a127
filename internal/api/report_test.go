package api_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/internal/auth"
)

// Anybody reports, without a token; who has the key has its certificate revoked.
func TestProblemReports(t *testing.T) {
	s := serve(t)
	key := newKey(t)
	id, token := s.apply("alice@example.org")
	bearer := "Authorization: Bearer " + token
	if r := s.send("POST", "/api/v1/orders/"+id+"/code", `{"code":"`+s.code()+`"}`, asJSON, bearer); r.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	r := s.send("POST", "/api/v1/orders/"+id+"/certificate", string(request(t, key)), asPKCS10, bearer)
	block, _ := pem.Decode([]byte(r.member(t, "certificate")))
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	report := func(members map[string]string) reply {
		t.Helper()
		body, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		return s.send("POST", "/api/v1/problem-reports", string(body), asJSON)
	}
	if r := report(map[string]string{"problem": "misuse", "serial": c.SerialNumber.Text(16), "text": "fraud"}); r.StatusCode != http.StatusCreated ||
		r.member(t, "id") == "" || r.member(t, "decide_by") <= r.member(t, "answer_by") || !strings.Contains(string(r.body), `"revoked":[]`) {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	for want, members := range map[string]map[string]string{
		"problem":             {"problem": "boredom", "text": "x"},
		"serial":              {"problem": "other", "text": "x", "serial": "alice"},
		"unknown-certificate": {"problem": "other", "text": "x", "serial": "77"},
		"address":             {"problem": "other", "text": "x", "email": "nobody"},
		"text":                {"problem": "other"},
		"proof":               {"problem": "key-compromise", "proof": "x"},
		"json":                {"problem": "other", "text": "x", "colour": "red"},
	} {
		if r := report(members); r.StatusCode/100 != 4 || r.member(t, "code") != want {
			t.Errorf("%v: %d %s", members, r.StatusCode, r.body)
		}
	}
	// A form of another site cannot send JSON without being asked (CORS).
	if r := s.send("POST", "/api/v1/problem-reports", "problem=other&text=x", "Content-Type: application/x-www-form-urlencoded"); r.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("a form: %d", r.StatusCode)
	}
	if r := s.send("GET", "/api/v1/key-compromise", ""); r.StatusCode != http.StatusOK || !strings.HasPrefix(r.member(t, "statement"), "key compromised ") {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	proof := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	r = report(map[string]string{"problem": "key-compromise", "proof": proof})
	if r.StatusCode != http.StatusCreated || !strings.Contains(string(r.body), c.SerialNumber.Text(16)) {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	list, err := x509.ParseRevocationList([]byte(s.send("GET", "/crl/issuing.crl", "").body))
	if err != nil || len(list.RevokedCertificateEntries) != 1 || list.RevokedCertificateEntries[0].SerialNumber.Cmp(c.SerialNumber) != 0 {
		t.Errorf("the list has %v, %v", list.RevokedCertificateEntries, err)
	}
	if r := report(map[string]string{"problem": "key-compromise", "proof": proof}); r.member(t, "code") != "unknown-key" {
		t.Errorf("once more: %d %s", r.StatusCode, r.body)
	}
	if strings.Contains(s.log.String(), strings.Split(proof, "\n")[1]) {
		t.Error("the log has the private key")
	}
}

// Who has more reports than a page holds gets the others by the cursor, the closed
// ones too.
func TestPagesOfProblemReports(t *testing.T) {
	s := serve(t)
	token := s.token(s.account("operator", auth.Grant{Role: auth.Operator}), auth.Grant{Role: auth.Operator})
	for range 3 {
		if r := s.send("POST", "/api/v1/problem-reports", `{"problem":"other","text":"x"}`, asJSON); r.StatusCode != http.StatusCreated {
			t.Fatalf("%d %s", r.StatusCode, r.body)
		}
		s.later()
	}
	const path = "/api/v1/problem-reports"
	first := s.json(token, "GET", path+"?limit=1", nil, 200)
	id := first["items"].([]any)[0].(object)["id"].(string)
	s.json(token, "POST", path+"/"+id+"/close", object{"outcome": "keep"}, 204)
	seen := map[string]bool{}
	cursor := ""
	for n := range 3 {
		page := s.json(token, "GET", path+"?limit=1"+cursor, nil, 200)
		item := page["items"].([]any)[0].(object)
		seen[item["id"].(string)] = true
		if closed := item["closed"] != nil; closed != (n == 2) {
			t.Errorf("report %d: closed %v", n, closed)
		}
		next, _ := page["next"].(string)
		if cursor = "&cursor=" + url.QueryEscape(next); (next == "") != (n == 2) {
			t.Errorf("after report %d comes %q", n, next)
		}
	}
	if len(seen) != 3 {
		t.Errorf("%d of three", len(seen))
	}
	if w := s.ask(token, "GET", path+"?cursor=x", "", ""); w.Code != 400 || !strings.Contains(w.Body.String(), "cursor") {
		t.Errorf("a cursor that is none: %d %s", w.Code, w.Body)
	}
}
