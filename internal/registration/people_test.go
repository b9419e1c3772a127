package registration_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
)

// People are found by what anybody would type, page by page, by who may look.
func TestPeople(t *testing.T) {
	c := openCompany(t)
	list := []registration.PersonInput{
		tanaka(),
		{GivenName: "Hanako", Surname: "Suzuki", LocalName: "鈴木 花子", Addresses: []string{"hanako@example.jp", "h.suzuki@example.jp"}, Department: "人事部"},
		{GivenName: "Seán", Surname: "O'Brien", Addresses: []string{"sean@example.jp"}, Number: "A-17"},
		{Surname: "Suharto", Addresses: []string{"suharto@example.jp"}},
		{LocalName: "ｶﾀｶﾅ", Addresses: []string{"kana@example.jp"}},
	}
	added, err := c.AddPeople(t.Context(), c.admin, c.id, list)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for i, a := range added {
		if a.Err != nil {
			t.Fatal(i, a.Err)
		}
		names[a.Person.ID] = a.Person.Addresses[0]
	}
	for text, want := range map[string][]string{
		"tanaka": {"Taro.Tanaka@example.jp"}, "TANA": {"Taro.Tanaka@example.jp"}, "田中": {"Taro.Tanaka@example.jp"}, "太郎": {"Taro.Tanaka@example.jp"},
		"中太": {"Taro.Tanaka@example.jp"}, "田中太郎": {"Taro.Tanaka@example.jp"}, "営業": {"Taro.Tanaka@example.jp"}, "0042": {"Taro.Tanaka@example.jp"},
		"hanako@exa": {"hanako@example.jp"}, "h.su": {"hanako@example.jp"}, "su ha": {"hanako@example.jp"}, "o'brien": {"sean@example.jp"}, "brien": {"sean@example.jp"},
		"seán": {"sean@example.jp"}, "a-17": {"sean@example.jp"}, "カタ": {"kana@example.jp"}, "ｶﾀ": {"kana@example.jp"}, "ＴＡＮＡＫＡ": {"Taro.Tanaka@example.jp"},
		"anaka": nil, "tanaka suzuki": nil, "%": nil, "'": nil, "su": {"suharto@example.jp", "hanako@example.jp"},
	} {
		people, _, err := c.People(t.Context(), c.admin, c.id, registration.PersonQuery{Text: text}, registration.Page{})
		var got []string
		for _, p := range people {
			got = append(got, p.Addresses[0])
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	var walked []string
	for page := (registration.Page{Limit: 2}); ; {
		people, next, err := c.People(t.Context(), c.approver, c.id, registration.PersonQuery{}, page)
		if err != nil || len(people) > 2 {
			t.Fatal(len(people), err)
		}
		for _, p := range people {
			walked = append(walked, names[p.ID])
		}
		if page.After = next; next == "" {
			break
		}
	}
	if len(walked) != 5 || slices.Contains(walked, "") || len(slices.Compact(slices.Sorted(slices.Values(walked)))) != 5 {
		t.Errorf("page by page: %q", walked)
	}
	n, err := c.CountPeople(t.Context(), c.admin, c.id, registration.PersonQuery{State: registration.PersonWithout})
	ids, err2 := c.PeopleIDs(t.Context(), c.admin, c.id, registration.PersonQuery{Text: "su"})
	if err := errors.Join(err, err2); err != nil || n != 5 || len(ids) != 2 {
		t.Errorf("%d without, %d called su, %v", n, len(ids), err)
	}
	for want, q := range map[string]registration.PersonQuery{
		"state input.choice": {State: "x"}, "text input.query": {Text: strings.Repeat("a ", 7)},
	} {
		if _, _, err := c.People(t.Context(), c.admin, c.id, q, registration.Page{}); inputKey(err) != want {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, _, err := c.People(t.Context(), c.admin, c.id, registration.PersonQuery{}, registration.Page{After: "?"}); inputKey(err) != "after input.page" {
		t.Errorf("a page of nothing: %v", err)
	}
	rival := c.found(t, "rival")
	for name, a := range map[string]auth.Actor{
		"nobody": {}, "another's administrator": rival.admin, "a validator": c.operator2, "a person": {Kind: auth.KindPerson, ID: added[0].Person.ID},
		"another part": auth.Server("mail"),
	} {
		_, _, err := c.People(t.Context(), a, c.id, registration.PersonQuery{}, registration.Page{})
		_, err2 := c.Person(t.Context(), a, c.id, added[1].Person.ID)
		_, err3 := c.AddPerson(t.Context(), a, c.id, registration.PersonInput{Addresses: []string{"x@example.jp"}})
		err4 := c.PeopleLeave(t.Context(), a, c.id, []string{added[1].Person.ID})
		for i, err := range []error{err, err2, err3, err4} {
			if !errors.Is(err, registration.ErrForbidden) {
				t.Errorf("%s, call %d: %v", name, i, err)
			}
		}
	}
	if _, err := rival.Person(t.Context(), rival.admin, rival.id, added[1].Person.ID); !errors.Is(err, registration.ErrForbidden) {
		t.Errorf("as one's own: %v", err)
	}
	if p, err := c.Person(t.Context(), auth.Actor{Kind: auth.KindPerson, ID: added[1].Person.ID}, c.id, added[1].Person.ID); err != nil || p.LocalName != "鈴木 花子" {
		t.Errorf("oneself: %+v, %v", p, err)
	}
	c.logIsWhole(t)
}

// What is wrong with one of many is told of that one, and keeps out no other.
func TestPeopleThatAreWrong(t *testing.T) {
	c := openCompany(t)
	in := func(change func(*registration.PersonInput)) registration.PersonInput {
		p := tanaka()
		change(&p)
		return p
	}
	cases := []struct {
		want string
		p    registration.PersonInput
	}{
		{"", tanaka()},
		{"number input.number.taken", in(func(p *registration.PersonInput) { p.Addresses = []string{"b@example.jp"} })},
		{"addresses input.mailbox.taken", in(func(p *registration.PersonInput) { p.Number = "2"; p.Addresses = []string{"TARO.tanaka@example.jp"} })},
		{"addresses input.required", in(func(p *registration.PersonInput) { p.Number = "3"; p.Addresses = nil })},
		{"addresses input.address", in(func(p *registration.PersonInput) { p.Number = "4"; p.Addresses = []string{"a b@example.jp"} })},
		{"addresses input.address.twice", in(func(p *registration.PersonInput) {
			p.Number = "5"
			p.Addresses = []string{"c@example.jp", "c@EXAMPLE.jp"}
		})},
		{"surname input.surname", in(func(p *registration.PersonInput) {
			p.Number = "6"
			p.Surname = ""
			p.Addresses = []string{"d@example.jp"}
		})},
		{"local_name input.unseen", in(func(p *registration.PersonInput) {
			p.Number = "7"
			p.LocalName = "a\u202eb"
			p.Addresses = []string{"e@example.jp"}
		})},
		{"given_name input.long", in(func(p *registration.PersonInput) {
			p.Number = "8"
			p.GivenName = strings.Repeat("x", 65)
			p.Addresses = []string{"f@example.jp"}
		})},
		{"surname input.name.address", in(func(p *registration.PersonInput) {
			p.Number = "9"
			p.Surname = "eve@example.com"
			p.Addresses = []string{"g@example.jp"}
		})},
		{"language input.choice", in(func(p *registration.PersonInput) {
			p.Number = "10"
			p.Language = "fr"
			p.Addresses = []string{"h@example.jp"}
		})},
		{"", in(func(p *registration.PersonInput) { p.Number = "11"; p.Addresses = []string{"i@example.jp"} })},
	}
	var many registration.PersonInput
	for i := range 21 {
		many.Addresses = append(many.Addresses, fmt.Sprintf("m%d@example.jp", i))
	}
	cases = append(cases, struct {
		want string
		p    registration.PersonInput
	}{"addresses input.addresses", many})
	var list []registration.PersonInput
	for _, one := range cases {
		list = append(list, one.p)
	}
	added, err := c.AddPeople(t.Context(), c.admin, c.id, list)
	if err != nil {
		t.Fatal(err)
	}
	for i, one := range cases {
		if one.want == "" && added[i].Err != nil || one.want != "" && inputKey(added[i].Err) != one.want {
			t.Errorf("person %d: %v, want %q", i, added[i].Err, one.want)
		}
	}
	if n, err := c.CountPeople(t.Context(), c.admin, c.id, registration.PersonQuery{}); err != nil || n != 2 {
		t.Errorf("%d people, %v", n, err)
	}
	// An organization that is suspended adds and orders nothing, until it goes on.
	if _, err := c.SetStanding(t.Context(), c.admin, c.id, registration.StandingSuspended); !errors.Is(err, registration.ErrForbidden) {
		t.Errorf("its own administrator suspends it: %v", err)
	}
	if _, err := c.SetStanding(t.Context(), c.operator, c.id, registration.StandingSuspended); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AddPerson(t.Context(), c.admin, c.id, registration.PersonInput{Addresses: []string{"z@example.jp"}}); inputKey(err) != "organization input.organization.suspended" {
		t.Errorf("added to it: %v", err)
	}
	if _, err := c.OrderFor(t.Context(), c.admin, c.id, added[0].Person.ID, registration.OrderRequest{}); inputKey(err) != "organization input.organization.suspended" {
		t.Errorf("ordered for it: %v", err)
	}
	if org, err := c.SetStanding(t.Context(), c.operator, c.id, registration.StandingActive); err != nil || org.Standing != registration.StandingActive {
		t.Errorf("%+v, %v", org, err)
	}
	if _, err := c.SetStanding(t.Context(), c.admin, c.id, registration.StandingClosed); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SetStanding(t.Context(), c.operator, c.id, registration.StandingActive); !errors.Is(err, registration.ErrState) {
		t.Errorf("opened again after it was closed: %v", err)
	}
	c.logIsWhole(t)
}

// An act on all that a search finds is about all of them, or refused: never about
// a part.
func TestTooManyAtOnce(t *testing.T) {
	c := openCompany(t)
	for i := range 4 {
		c.add(t, registration.PersonInput{Surname: "Many", Addresses: []string{fmt.Sprintf("many%d@example.jp", i)}})
	}
	q := registration.PersonQuery{Text: "many"}
	for most, want := range map[int]int{4: 4, 3: 0, 1: 0} {
		c.SetMostSelected(most)
		ids, err := c.PeopleIDs(t.Context(), c.admin, c.id, q)
		if len(ids) != want || want == 0 && inputKey(err) != "text input.selected" || want > 0 && err != nil {
			t.Errorf("at most %d: %d people, %v", most, len(ids), err)
		}
	}
}

// The queue of evidence comes in pages, without a gap.
func TestEvidenceInPages(t *testing.T) {
	c := openCompany(t)
	for i := range 5 {
		if i == 3 {
			c.pass(time.Second)
		}
		if _, err := c.SubmitEvidence(t.Context(), c.operator, c.id, registration.Submission{Method: "3.2.3.1", Reference: fmt.Sprint("file ", i)}); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	pages := 0
	for page := (registration.Page{Limit: 2}); ; pages++ {
		list, next, err := c.EvidenceQueue(t.Context(), c.operator2, page)
		if err != nil || len(list) > 2 {
			t.Fatalf("%d, %v", len(list), err)
		}
		for _, e := range list {
			seen[e.ID] = true
		}
		if page.After = next; next == "" {
			break
		}
	}
	if len(seen) != 5 || pages != 2 {
		t.Errorf("%d in %d pages", len(seen), pages+1)
	}
	if _, _, err := c.EvidenceQueue(t.Context(), c.operator2, registration.Page{After: "x"}); !errors.Is(err, registration.ErrInput) {
		t.Errorf("a page that nobody was given: %v", err)
	}
}
