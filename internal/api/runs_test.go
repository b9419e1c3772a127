package api_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
)

// works does jobs until stop.
func (s *server) works() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.box.Run(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			<-ended
		}
	}
	s.t.Cleanup(stop)
	return stop
}

// becomes waits until a run is as it should be.
func (s *server) becomes(token, path, what string, is func(object) bool) object {
	s.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		s.later()
		run := s.json(token, "GET", path, nil, 200)
		if is(run) {
			return run
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("never %s: %v", what, run)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// One run from its list to its results, over HTTP: problems by line, a start
// without them, pause, resume, what became of each, retry and cancel.
func TestRunOverHTTP(t *testing.T) {
	s := serve(t)
	ours := s.found("ours")
	token, reader := s.token(ours.admin, ours.admin.Grants...), s.token(ours.admin, auth.Grant{Role: auth.Reader, Organization: ours.objects["organization"]})
	base := "/api/v1/organizations/" + ours.objects["organization"]
	set := settings()
	set.Keys = "server"
	body, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	if w := s.ask(token, "PUT", base+"/settings", "application/json", string(body)); w.Code != 403 || !strings.Contains(w.Body.String(), "in-person") {
		t.Errorf("a program has the server make keys: %d %s", w.Code, w.Body)
	}
	if _, err := s.orders.SetSettings(t.Context(), ours.admin, ours.objects["organization"], set); err != nil {
		t.Fatal(err)
	}
	s.json(token, "PUT", base+"/settings", set, 200) // as they are
	list := "email;surname;given name\na@ours.example;Abe;Ai\nnonsense;Baba;Bo\nc@ours.example;Chiba;Chie\nc@ours.example;Chiba;Chie\nd@elsewhere.example;Doi;Dai\n"
	send := func(path string, want int, header ...string) object {
		t.Helper()
		s.later()
		w := s.ask(token, "POST", base+path, "text/csv", list, header...)
		if w.Code != want {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		return read(t, w.Body.String())
	}

	// All that is wrong, in the language that is asked for, and nothing is written.
	preview := send("/runs/preview", 200)
	at := map[float64]string{}
	for _, p := range preview["problems"].([]any) {
		at[p.(object)["line"].(float64)] = p.(object)["code"].(string)
	}
	if preview["people"] != 2.0 || at[3] != "roster.no-at" || at[5] != "roster.twice" || at[6] != "roster.domain" || len(at) != 3 || preview["separator"] != ";" {
		t.Errorf("%v", preview)
	}
	if text := fmt.Sprint(send("/runs/preview", 200, "Accept-Language: ja")["problems"]); !strings.Contains(text, "ドメイン") {
		t.Errorf("in Japanese: %s", text)
	}
	if p := send("/runs", 422); p["code"] != "list-problems" {
		t.Errorf("with problems: %v", p)
	}
	if p := send("/runs?leave_out=everything", 400); p["field"] != "leave_out" {
		t.Errorf("%v", p)
	}
	before := len(s.json(token, "GET", base+"/runs", nil, 200)["items"].([]any))

	// It starts once, rests, goes on, and is done.
	run := send("/runs?leave_out=problems", 201, "Idempotency-Key: first")
	if again := send("/runs?leave_out=problems", 201, "Idempotency-Key: first"); again["id"] != run["id"] {
		t.Errorf("the same request again made %v", again)
	}
	if p := send("/runs?leave_out=problems", 409); p["code"] != "under-way" {
		t.Errorf("the same list at the same time: %v", p)
	}
	if run["mode"] != "server-keys" || run["state"] != "running" || run["total"] != 2.0 || run["started_by"] != "account:ours" {
		t.Errorf("%v", run)
	}
	if after := len(s.json(token, "GET", base+"/runs", nil, 200)["items"].([]any)); after != before+1 {
		t.Errorf("%d runs more", after-before)
	}
	one := base + "/runs/" + run["id"].(string)
	move := func(act string, want int) object {
		t.Helper()
		s.later()
		return s.json(token, "POST", one+"/"+act, nil, want)
	}
	if r := move("pause", 200); r["state"] != "paused" {
		t.Errorf("%v", r)
	}
	move("pause", 409)
	stop := s.works()
	time.Sleep(100 * time.Millisecond)
	if r := s.json(token, "GET", one, nil, 200); r["state"] != "paused" || r["done"] != 0.0 {
		t.Errorf("a run that rests went on: %v", r)
	}
	for _, act := range []string{"pause", "resume", "retry", "cancel", "passphrases"} {
		s.later()
		if w := s.ask(reader, "POST", one+"/"+act, "", ""); w.Code != 403 {
			t.Errorf("a reader: %s: %d", act, w.Code)
		}
	}
	if r := move("resume", 200); r["state"] != "running" {
		t.Errorf("%v", r)
	}
	move("resume", 409)
	s.becomes(token, one, "done", func(r object) bool { return r["state"] == "done" && r["done"] == 2.0 && r["finished"] != nil })
	move("cancel", 409)

	// What became of each, in pages; and the sheet, once for each person.
	seen := map[string]bool{}
	for cursor := ""; ; {
		s.later()
		page := s.json(token, "GET", one+"/people?limit=1"+cursor, nil, 200)
		for _, p := range page["items"].([]any) {
			p := p.(object)
			seen[p["address"].(string)] = p["state"] == "done" && p["person"] != "" && p["pickup"] != nil && len(p["orders"].([]any)) == 1
		}
		next, _ := page["next"].(string)
		if next == "" {
			break
		}
		cursor = "&cursor=" + next
	}
	if len(seen) != 2 || !seen["a@ours.example"] || !seen["c@ours.example"] {
		t.Errorf("%v", seen)
	}
	s.later()
	w := s.ask(token, "POST", one+"/passphrases", "", "")
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(w.Body.String(), "\ufeff"))).ReadAll()
	if w.Code != 200 || err != nil || len(rows) != 3 {
		t.Errorf("the sheet: %d %v %v", w.Code, rows, err)
	}
	if people := s.json(token, "GET", base+"/people?state=valid&text=Abe", nil, 200)["items"].([]any); len(people) != 1 {
		t.Errorf("who was equipped: %v", people)
	}

	// Somebody whom nobody can equip fails, is tried again, and is given up.
	stop()
	second := s.json(token, "POST", base+"/runs/of-people", object{"ids": ours.people[2:]}, 201)
	one = base + "/runs/" + second["id"].(string)
	s.json(s.token(s.operator, auth.Grant{Role: auth.Operator}), "PUT", base+"/standing", object{"standing": "suspended"}, 200)
	stop = s.works()
	s.becomes(token, one, "failed", func(r object) bool { return r["failed"] == 1.0 })
	failed := s.json(token, "GET", one+"/people?state=failed", nil, 200)["items"].([]any)
	if len(failed) != 1 || failed[0].(object)["problem"] == nil {
		t.Errorf("%v", failed)
	}
	if r := move("retry", 200); r["state"] != "running" || r["failed"] != 0.0 {
		t.Errorf("%v", r)
	}
	s.becomes(token, one, "failed again", func(r object) bool { return r["failed"] == 1.0 })
	stop()

	// Another organization's run is none of ours.
	theirs := s.found("theirs")
	for _, act := range []string{"", "/people", "/pause", "/resume", "/retry", "/cancel", "/passphrases"} {
		method := http.MethodPost
		if act == "" || act == "/people" {
			method = http.MethodGet
		}
		s.later()
		if w := s.ask(token, method, base+"/runs/"+theirs.objects["run"]+act, "", ""); w.Code != 403 {
			t.Errorf("theirs: %s: %d", act, w.Code)
		}
	}
	// One that nobody works on is cancelled, for good.
	token = s.token(theirs.admin, theirs.admin.Grants...)
	one = "/api/v1/organizations/" + theirs.objects["organization"] + "/runs/" + theirs.objects["run"]
	if r := move("cancel", 200); r["state"] != "cancelled" || r["done"] != 0.0 {
		t.Errorf("%v", r)
	}
	for _, act := range []string{"resume", "pause", "cancel"} {
		move(act, 409)
	}
	s.works()
	time.Sleep(50 * time.Millisecond)
	if r := s.json(token, "GET", one, nil, 200); r["state"] != "cancelled" || r["done"] != 0.0 {
		t.Errorf("a cancelled run went on: %v", r)
	}
}
