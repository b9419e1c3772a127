package api_test

import (
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/testca"
)

// A program asks for the end of approval, and gets told what waits for whom; it
// lists that and withdraws it, and there is no way for it to confirm it.
func TestChanges(t *testing.T) {
	s := serve(t)
	admin, approver := s.account("admin"), s.account("approver")
	org, err := s.orders.CreateOrganization(t.Context(), admin, registration.Organization{Name: "Two K.K.", Country: "JP"}, "")
	if err != nil {
		t.Fatal(err)
	}
	role := auth.Grant{Role: auth.Administrator, Organization: org.ID}
	admin.Grants = []auth.Grant{role}
	if err := s.accounts.GiveRole(t.Context(), admin, approver.ID, auth.Grant{Role: auth.Approver, Organization: org.ID}); err != nil {
		t.Fatal(err)
	}
	token, base := s.token(admin, role), "/api/v1/organizations/"+org.ID
	on, off := settings(), settings()
	on.Approval = true
	if o := s.json(token, "PUT", base+"/settings", on, 200); o["waits"] != nil {
		t.Errorf("turning it on waits: %v", o)
	}
	o := s.json(token, "PUT", base+"/settings", off, 202)
	waits, _ := o["waits"].(object)
	if o["settings"].(object)["approval"] != true || waits["kind"] != "approval-off" || waits["asked_by"] != "admin" || waits["for"].([]any)[0] != "approver" {
		t.Fatalf("%v", o)
	}
	reader := s.token(admin, auth.Grant{Role: auth.Reader, Organization: org.ID})
	list := s.json(reader, "GET", base+"/changes", nil, 200)["items"].([]any)
	if len(list) != 1 || list[0].(object)["id"] != waits["id"] {
		t.Fatalf("%v", list)
	}
	var officers []object
	ca := testca.New(t)
	valid := testca.Validity(s.clock().Add(-time.Hour), s.clock().AddDate(1, 0, 0))
	for _, id := range []string{"puppet1", "puppet2", "puppet3"} {
		s.account(id, auth.Grant{Role: auth.RecoveryOfficer, Organization: org.ID})
		officers = append(officers, object{"account": id, "certificate": string(ca.Leaf(id+"@example.org", testca.P256, valid).Certificate.PEM())})
	}
	p := s.json(token, "POST", base+"/recovery/officers", object{"officers": officers}, 202)
	held, _ := p["waits"].(object)
	if p["id"] != nil || held["kind"] != "officers" || held["threshold"] != 2.0 || len(held["officers"].([]any)) != 3 || held["officers"].([]any)[2] != "puppet3" || held["for"].([]any)[0] != "approver" {
		t.Fatalf("%v", p)
	}
	if st := s.json(token, "GET", base+"/recovery/officers", nil, 200); st["proposed"] != nil {
		t.Errorf("proposed by one: %v", st)
	}
	if w := s.ask(token, "DELETE", base+"/changes/"+held["id"].(string), "", ""); w.Code != 204 {
		t.Errorf("withdrawn: %d %s", w.Code, w.Body)
	}
	change := base + "/changes/" + waits["id"].(string)
	s.json(reader, "DELETE", change, nil, 403)
	s.json(token, "POST", change, nil, 405)
	if w := s.ask(token, "DELETE", change, "", ""); w.Code != 204 {
		t.Errorf("withdrawn: %d %s", w.Code, w.Body)
	}
	if list := s.json(token, "GET", base+"/changes", nil, 200)["items"].([]any); len(list) != 0 {
		t.Errorf("%v", list)
	}
}
