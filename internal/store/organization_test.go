package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/store"
)

const day = 24 * time.Hour

func organization(id string) store.Organization {
	return store.Organization{
		ID: id, Name: "Example " + id, LocalName: "見本", Country: "JP", State: "Tokyo", Locality: "Minato",
		Identifier: "NTRJP-7000012050002", Standing: "applied", Settings: "{}", CreatedBy: "account:a", Created: now,
	}
}

func view(t *testing.T, db *store.DB, look func(*store.Tx) error) {
	t.Helper()
	if err := db.View(t.Context(), look); err != nil {
		t.Fatal(err)
	}
}

// refused: each change must fail with the error that is wanted.
func refused(t *testing.T, db *store.DB, what string, want error, change func(*store.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), unrecorded(change)); !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestOrganizations(t *testing.T) {
	db, _ := filled(t)
	first, second := organization("a"), organization("b")
	second.Created = now.Add(time.Second)
	update(t, db, func(tx *store.Tx) error {
		return errors.Join(tx.InsertOrganization(second), tx.InsertOrganization(first),
			tx.SetOrganizationStanding("a", "applied", "active"), tx.SetOrganizationSettings("a", `{"kind":"ov"}`),
			tx.KeepAgreement(store.Agreement{Version: "1", EN: "en", JA: "ja", Since: now}),
			tx.KeepAgreement(store.Agreement{Version: "1", EN: "other", JA: "ja", Since: now}),
			tx.AcceptAgreement(store.AgreementAcceptance{OrganizationID: "a", Version: "1", AccountID: "me", At: now}))
	})
	refused(t, db, "the same again", store.ErrConflict, func(tx *store.Tx) error { return tx.InsertOrganization(first) })
	refused(t, db, "from a standing that is over", store.ErrConflict, func(tx *store.Tx) error { return tx.SetOrganizationStanding("a", "applied", "active") })
	refused(t, db, "agree twice", store.ErrConflict, func(tx *store.Tx) error {
		return tx.AcceptAgreement(store.AgreementAcceptance{OrganizationID: "a", Version: "1", AccountID: "other", At: now})
	})
	view(t, db, func(tx *store.Tx) error {
		list, err := tx.Organizations("", time.Time{}, "", 1)
		if err != nil || len(list) != 1 || list[0].ID != "a" || list[0].Standing != "active" || list[0].LocalName != "見本" || list[0].Settings != `{"kind":"ov"}` {
			t.Errorf("first page %+v, %v", list, err)
		}
		rest, err := tx.Organizations("", list[0].Created, list[0].ID, 9)
		if err != nil || len(rest) != 1 || rest[0].ID != "b" {
			t.Errorf("second page %+v, %v", rest, err)
		}
		active, err := tx.Organizations("active", time.Time{}, "", 9)
		if err != nil || len(active) != 1 {
			t.Errorf("active ones %+v, %v", active, err)
		}
		kept, err := tx.Agreement("1")
		if kept.EN != "en" {
			t.Errorf("a text that was accepted is %q now", kept.EN)
		}
		accepted, err2 := tx.AgreementAcceptances("a")
		if len(accepted) != 1 || accepted[0].AccountID != "me" {
			t.Errorf("accepted %+v", accepted)
		}
		return errors.Join(err, err2)
	})
}

// A domain is proven for one organization at a time, by the token it has now.
func TestDomains(t *testing.T) {
	db, _ := filled(t)
	domain := func(id, org string) store.Domain {
		return store.Domain{ID: id, OrganizationID: org, Name: "example.jp", Token: "token " + id, Created: now,
			Method: "3.2.2.1", Evidence: "seen", Proven: now, Expires: now.Add(398 * day)}
	}
	update(t, db, func(tx *store.Tx) error {
		return errors.Join(tx.InsertOrganization(organization("a")), tx.InsertOrganization(organization("b")),
			tx.InsertDomain(domain("1", "a")), tx.InsertDomain(domain("2", "b")), tx.DomainChecked("1", "no such name", now),
			tx.DomainProven(domain("1", "a")))
	})
	refused(t, db, "the same domain again", store.ErrConflict, func(tx *store.Tx) error { return tx.InsertDomain(domain("3", "a")) })
	refused(t, db, "somebody else's domain", store.ErrConflict, func(tx *store.Tx) error { return tx.DomainProven(domain("2", "b")) })
	update(t, db, func(tx *store.Tx) error {
		d, err := tx.ProvenDomain("example.jp")
		if d.ID != "1" || d.Problem != "" || !d.Expires.Equal(now.Add(398*day)) || !d.Checked.Equal(now) {
			t.Errorf("proven: %+v", d)
		}
		ending, err2 := tx.EndingDomains(now.Add(400*day), 9)
		if len(ending) != 1 {
			t.Errorf("%d domains end", len(ending))
		}
		return errors.Join(err, err2, tx.DomainProven(domain("1", "a")), tx.DomainLapsed("1", "gone"), tx.SetDomainToken("2", "new", now))
	})
	refused(t, db, "with an old token", store.ErrConflict, func(tx *store.Tx) error { return tx.DomainProven(domain("2", "b")) })
	update(t, db, func(tx *store.Tx) error {
		d := domain("2", "b")
		d.Token = "new"
		return errors.Join(tx.DomainProven(d), tx.DeleteDomain("a", "1"))
	})
	refused(t, db, "another's domain taken away", store.ErrConflict, func(tx *store.Tx) error { return tx.DeleteDomain("a", "2") })
	update(t, db, func(tx *store.Tx) error {
		c := store.CAACheck{ID: "1", Domain: "example.jp", Permitted: true, Found: "none", Checked: now, ValidUntil: now.Add(time.Hour)}
		d := c
		d.ID, d.Permitted, d.Checked = "2", false, now.Add(time.Second)
		err := errors.Join(tx.InsertCAACheck(c), tx.InsertCAACheck(d))
		last, err2 := tx.LastCAACheck("example.jp")
		if last.ID != "2" || last.Permitted {
			t.Errorf("last check %+v", last)
		}
		return errors.Join(err, err2)
	})
}

// Two decide, none of whom submitted it.
func TestEvidenceTakesTwo(t *testing.T) {
	db, _ := filled(t)
	record := store.Evidence{
		ID: "e", OrganizationID: "a", Kind: "organization", Method: "3.2.3.1", Reference: "shelf 1", Statement: "looked up",
		Document: []byte("%PDF"), DocumentName: "register.pdf", SHA256: []byte("sum"), Names: "{}", SubmittedBy: "account:s", Submitted: now,
	}
	update(t, db, func(tx *store.Tx) error { return tx.InsertEvidence(record) })
	expires := now.Add(825 * day)
	accept := func(by string) func(*store.Tx) error {
		return func(tx *store.Tx) error { return tx.EvidenceAccepted("e", by, now, expires) }
	}
	seen := func(by string) func(*store.Tx) error {
		return func(tx *store.Tx) error { return tx.EvidenceSeen("e", by, now) }
	}
	refused(t, db, "accepted before a first look", store.ErrConflict, accept("account:1"))
	refused(t, db, "looked at by who submitted it", store.ErrConflict, seen("account:s"))
	update(t, db, seen("account:1"))
	refused(t, db, "a first look twice", store.ErrConflict, seen("account:2"))
	refused(t, db, "accepted by the first one", store.ErrConflict, accept("account:1"))
	refused(t, db, "accepted by who submitted it", store.ErrConflict, accept("account:s"))
	update(t, db, accept("account:2"))
	refused(t, db, "accepted again", store.ErrConflict, accept("account:3"))
	view(t, db, func(tx *store.Tx) error {
		good, err := tx.GoodEvidence("a", "", now)
		if good.ID != "e" || !good.Expires.Equal(expires) || good.Document != nil {
			t.Errorf("good evidence %+v", good)
		}
		if _, err := tx.GoodEvidence("a", "", expires); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("when it has expired: %v", err)
		}
		if _, err := tx.GoodEvidence("b", "", now); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("of another organization: %v", err)
		}
		document, err2 := tx.EvidenceDocument("e")
		if string(document) != "%PDF" {
			t.Errorf("document %q", document)
		}
		waiting, err3 := tx.WaitingEvidence(time.Time{}, "", 9)
		if len(waiting) != 0 {
			t.Errorf("%d records wait", len(waiting))
		}
		return errors.Join(err, err2, err3)
	})
	update(t, db, func(tx *store.Tx) error { return tx.EvidenceRefused("e", "account:2", "wrong company", now) })
	view(t, db, func(tx *store.Tx) error {
		if _, err := tx.GoodEvidence("a", "", now); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("refused evidence counts: %v", err)
		}
		return nil
	})
}

// member is number n of an organization.
func member(organization string, n int) store.Member {
	id := fmt.Sprintf("%s%06d", organization, n)
	return store.Member{
		Person:         store.Person{ID: id, Name: "Taro Tanaka", GivenName: "Taro", Surname: "Tanaka", LocalName: "田中 太郎", Language: "ja", Created: now},
		OrganizationID: organization, Number: fmt.Sprint(n), Department: "Sales", VouchedBy: "account:a", Vouched: now, Place: []byte("tanaka" + id), Since: now,
	}
}

func insertMember(tx *store.Tx, m store.Member, words ...string) error {
	var list [][]byte
	for _, w := range words {
		list = append(list, []byte(w))
	}
	address := m.ID + "@example.jp"
	return errors.Join(tx.InsertPerson(m.Person), tx.InsertMember(m), tx.SetMemberMailboxes(m.OrganizationID, m.ID, []string{address}, []string{address}),
		tx.SetMemberWords(m.OrganizationID, m.ID, list))
}

func TestMembers(t *testing.T) {
	db, _ := filled(t)
	a, b, other := member("a", 1), member("a", 2), member("b", 1)
	update(t, db, func(tx *store.Tx) error {
		return errors.Join(tx.InsertOrganization(organization("a")), tx.InsertOrganization(organization("b")),
			insertMember(tx, a, "tanaka", "taro", "田中"), insertMember(tx, b, "tanabe", "taro"), insertMember(tx, other, "tanaka"))
	})
	refused(t, db, "a second membership at once", store.ErrConflict, func(tx *store.Tx) error { return tx.InsertMember(a) })
	refused(t, db, "somebody else's number", store.ErrConflict, func(tx *store.Tx) error {
		c := b
		c.Number = a.Number
		return tx.ChangeMember(c)
	})
	refused(t, db, "somebody else's mailbox", store.ErrConflict, func(tx *store.Tx) error {
		return tx.SetMemberMailboxes("a", b.ID, []string{a.ID + "@example.jp"}, []string{a.ID + "@example.jp"})
	})
	find := func(q store.MemberQuery) (found []string) {
		t.Helper()
		q.Now, q.Limit = now, cmpOr(q.Limit, 10)
		if q.OrganizationID == "" {
			q.OrganizationID = "a"
		}
		view(t, db, func(tx *store.Tx) error {
			list, err := tx.Members(q)
			for _, m := range list {
				found = append(found, m.ID)
				if len(m.Addresses) != 1 && m.Until.IsZero() {
					t.Errorf("addresses of %s: %q", m.ID, m.Addresses)
				}
			}
			n, err2 := tx.CountMembers(q)
			ids, err3 := tx.MemberIDs(q)
			if q.AfterPlace == nil && q.Limit >= 10 && (int(n) != len(found) || len(ids) != len(found)) {
				t.Errorf("%d found, %d counted, %d named", len(found), n, len(ids))
			}
			return errors.Join(err, err2, err3)
		})
		return found
	}
	words := func(list ...string) (out [][]byte) {
		for _, w := range list {
			out = append(out, []byte(w))
		}
		return out
	}
	for _, try := range []struct {
		what string
		q    store.MemberQuery
		want []string
	}{
		{"all", store.MemberQuery{}, []string{a.ID, b.ID}},
		{"another's", store.MemberQuery{OrganizationID: "b"}, []string{other.ID}},
		{"first page", store.MemberQuery{Limit: 1}, []string{a.ID}},
		{"second page", store.MemberQuery{AfterPlace: a.Place, AfterID: a.ID}, []string{b.ID}},
		{"a beginning", store.MemberQuery{Words: words("tana")}, []string{a.ID, b.ID}},
		{"a word", store.MemberQuery{Words: words("tanaka")}, []string{a.ID}},
		{"two words", store.MemberQuery{Words: words("taro", "tanab")}, []string{b.ID}},
		{"kanji", store.MemberQuery{Words: words("田")}, []string{a.ID}},
		{"no such word", store.MemberQuery{Words: words("tanakas")}, nil},
		{"without certificates", store.MemberQuery{State: store.MemberWithout}, []string{a.ID, b.ID}},
		{"with", store.MemberQuery{State: store.MemberValid}, nil},
		{"a state that is none", store.MemberQuery{State: "x"}, nil},
		{"left", store.MemberQuery{State: store.MemberLeft}, nil},
	} {
		if got := find(try.q); !slices.Equal(got, try.want) {
			t.Errorf("%s: %q, want %q", try.what, got, try.want)
		}
	}
	update(t, db, func(tx *store.Tx) error {
		b.Number, b.Department = "77", "Service"
		return errors.Join(tx.ChangeMember(b), tx.MemberLeaves("a", a.ID, now.Add(day)))
	})
	refused(t, db, "leaving twice", store.ErrConflict, func(tx *store.Tx) error { return tx.MemberLeaves("a", a.ID, now) })
	if got := find(store.MemberQuery{State: store.MemberLeft}); !slices.Equal(got, []string{a.ID}) {
		t.Errorf("left: %q", got)
	}
	if got := find(store.MemberQuery{Words: words("tana")}); !slices.Equal(got, []string{b.ID}) {
		t.Errorf("found after one left: %q", got)
	}
	update(t, db, func(tx *store.Tx) error {
		a.Since = now.Add(2 * day)
		return tx.InsertMember(a)
	})
	if got := find(store.MemberQuery{State: store.MemberLeft}); got != nil {
		t.Errorf("left and back again: %q", got)
	}
	view(t, db, func(tx *store.Tx) error {
		m, err := tx.Member("a", b.ID)
		if m.Number != "77" || m.Department != "Service" || m.LocalName != "田中 太郎" || !bytes.Equal(m.Place, b.Place) {
			t.Errorf("changed: %+v", m)
		}
		who, err2 := tx.MemberByNumber("a", "77")
		in, err3 := tx.MembershipsOf(b.ID)
		if who != b.ID || !slices.Equal(in, []string{"a"}) {
			t.Errorf("by number %q, in %q", who, in)
		}
		if _, err := tx.MemberByMailbox("b", b.ID+"@example.jp"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a mailbox of another organization: %v", err)
		}
		return errors.Join(err, err2, err3)
	})
}

func cmpOr(n, other int) int {
	if n != 0 {
		return n
	}
	return other
}

// What a certificate's end and revocation make of its holder, whoever issued it.
func TestHoldings(t *testing.T) {
	db, o := filled(t)
	update(t, db, func(tx *store.Tx) error {
		err := tx.InsertOrganization(organization("a"))
		for n := range 4 {
			err = errors.Join(err, insertMember(tx, member("a", n)))
		}
		return err
	})
	give := func(n int, ends time.Time) {
		update(t, db, func(tx *store.Tx) error {
			id := fmt.Sprintf("o%d", n)
			return errors.Join(
				tx.InsertOrder(store.Order{ID: id, State: "proven", ProfileHash: o.ProfileHash, SecretHash: []byte{}, Created: now, Expires: now.Add(day),
					PersonID: member("a", n).ID, OrganizationID: "a", Kind: "organization", Profile: "ov", Use: "signing", WaitingFor: "person"}),
				tx.PrepareCertificate(store.Certificate{ID: "c" + id, AuthorityID: "ca", OrderID: id, Serial: []byte{9, byte(n)}, ProfileHash: o.ProfileHash, KeyHash: []byte("k"), Reserved: now}),
				tx.IssueCertificate("c"+id, []byte("der"+id), []byte("sum"+id), ends, now, now), tx.OrderIssued(id))
		})
	}
	give(0, now.Add(20*day))
	give(1, now.Add(70*day))
	give(2, now.Add(-day))
	foreign := store.ForeignCertificate{ID: "f", OrganizationID: "a", PersonID: member("a", 3).ID, Issuer: "Other CA", Serial: []byte{1}, DER: []byte("d"),
		Chain: []byte{}, SHA256: []byte("fs"), KeyHash: []byte("fk"), NotBefore: now.Add(-day), NotAfter: now.Add(50 * day), AddedBy: "account:a", Added: now}
	update(t, db, func(tx *store.Tx) error { return tx.InsertForeignCertificate(foreign) })
	refused(t, db, "imported twice", store.ErrConflict, func(tx *store.Tx) error {
		again := foreign
		again.ID = "g"
		return tx.InsertForeignCertificate(again)
	})
	state := func(s store.MemberState, before time.Time) (found []string) {
		t.Helper()
		view(t, db, func(tx *store.Tx) (err error) {
			found, err = tx.MemberIDs(store.MemberQuery{OrganizationID: "a", State: s, Now: now, EndingBefore: before, Limit: 10})
			return err
		})
		return found
	}
	ids := func(n ...int) (list []string) {
		for _, n := range n {
			list = append(list, member("a", n).ID)
		}
		return list
	}
	expect := func(what string, got, want []string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	expect("valid", state(store.MemberValid, now), ids(0, 1, 3))
	expect("without", state(store.MemberWithout, now), ids(2))
	expect("expired", state(store.MemberExpired, now), ids(2))
	expect("end in 30 days", state(store.MemberExpiring, now.Add(30*day)), ids(0))
	expect("end in 60 days", state(store.MemberExpiring, now.Add(60*day)), ids(0, 3))
	update(t, db, func(tx *store.Tx) error {
		return errors.Join(tx.RevokeCertificate("ca", []byte{9, 1}, now, 4), tx.RevokeForeignCertificate("a", "f", now, 4))
	})
	expect("revoked", state(store.MemberRevoked, now), ids(1, 3))
	view(t, db, func(tx *store.Tx) error {
		list, err := tx.HoldingsOf("a", member("a", 0).ID)
		if len(list) != 1 || list[0].ID != "co0" || list[0].Use != "signing" || list[0].Profile != "ov" || list[0].AuthorityID != "ca" || list[0].Issuer != "" {
			t.Errorf("holdings %+v", list)
		}
		all, err2 := tx.PersonHoldings(member("a", 3).ID)
		if len(all) != 1 || all[0].Issuer != "Other CA" || all[0].AuthorityID != "" || all[0].Revoked.IsZero() {
			t.Errorf("holdings of another issuer %+v", all)
		}
		one, err3 := tx.Holding("a", "f")
		ending, err4 := tx.EndingHoldings("a", now, now.Add(100*day), 9)
		if one.ID != "f" || len(ending) != 1 {
			t.Errorf("%+v, %d end", one, len(ending))
		}
		counts, err5 := tx.CountOrganization("a", now)
		if counts.People != 4 || counts.Valid != 1 || counts.Ending != [3]int64{1, 1, 1} || counts.Revoked != 2 || len(counts.Waiting) != 0 {
			t.Errorf("counts %+v", counts)
		}
		if _, err := tx.Holding("b", "f"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a certificate of another organization: %v", err)
		}
		return errors.Join(err, err2, err3, err4, err5)
	})
}

func TestOrganizationOrders(t *testing.T) {
	db, o := filled(t)
	m := member("a", 1)
	order := store.Order{ID: "w", State: "applied", ProfileHash: o.ProfileHash, SecretHash: []byte("s"), Created: now, Expires: now.Add(30 * day), Addresses: []string{"alice@example.org"},
		PersonID: m.ID, OrganizationID: "a", Kind: "organization", Profile: "iv-ov", Issuer: "external", Names: `{"surname":"Tanaka"}`, Use: "encryption",
		RequestedBy: "account:a", WaitingFor: "approval", Replaces: "c"}
	update(t, db, func(tx *store.Tx) error {
		later := order
		later.ID, later.WaitingFor, later.Created = "v", "mailbox", now.Add(time.Second)
		return errors.Join(tx.InsertOrganization(organization("a")), insertMember(tx, m), tx.InsertOrder(order), tx.InsertOrder(later))
	})
	refused(t, db, "approved by who asked", store.ErrConflict, func(tx *store.Tx) error { return tx.OrderApproved("w", "account:a", now) })
	refused(t, db, "approved though it waits for a mailbox", store.ErrConflict, func(tx *store.Tx) error { return tx.OrderApproved("v", "account:b", now) })
	update(t, db, func(tx *store.Tx) error {
		return errors.Join(tx.OrderApproved("w", "account:b", now), tx.OrderWaits("w", "mailbox"), tx.SetOrderSecret("w", []byte("new")))
	})
	page := func(q store.OrderQuery) (found []string) {
		q.OrganizationID = "a"
		q.Limit = cmpOr(q.Limit, 10)
		view(t, db, func(tx *store.Tx) error {
			list, err := tx.Orders(q)
			for _, o := range list {
				found = append(found, o.ID)
			}
			return err
		})
		return found
	}
	for _, try := range []struct {
		q    store.OrderQuery
		want []string
	}{
		{store.OrderQuery{}, []string{"v", "w"}}, {store.OrderQuery{Limit: 1}, []string{"v"}},
		{store.OrderQuery{Before: now.Add(time.Second), BeforeID: "v"}, []string{"w"}}, {store.OrderQuery{WaitingFor: "mailbox"}, []string{"v", "w"}},
		{store.OrderQuery{WaitingFor: "approval"}, nil}, {store.OrderQuery{State: "issued"}, nil}, {store.OrderQuery{State: "expired", Now: now}, nil},
		{store.OrderQuery{State: "expired", Now: now.Add(30 * day)}, []string{"v", "w"}}, {store.OrderQuery{State: "applied", Now: now.Add(30 * day)}, nil},
		{store.OrderQuery{WaitingFor: "mailbox", Now: now.Add(30 * day)}, nil}, {store.OrderQuery{State: "applied", Now: now}, []string{"v", "w"}},
		{store.OrderQuery{State: "open", Now: now}, []string{"v", "w"}}, {store.OrderQuery{State: "open", Now: now.Add(30 * day)}, nil},
		{store.OrderQuery{PersonID: m.ID, Kind: "organization"}, []string{"v", "w"}},
	} {
		if got := page(try.q); !slices.Equal(got, try.want) {
			t.Errorf("%+v: %q, want %q", try.q, got, try.want)
		}
	}
	update(t, db, func(tx *store.Tx) error {
		got, err := tx.Order("w")
		want := order
		want.SecretHash, want.WaitingFor, want.ApprovedBy, want.Approved = []byte("new"), "mailbox", "account:b", now
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("read back\n%+v, want\n%+v", got, want)
		}
		mine, err2 := tx.Order("order")
		if mine.Kind != "self" || mine.Profile != "basic" || mine.Issuer != "local" || mine.Use != "dual" || mine.OrganizationID != "" {
			t.Errorf("an order of one's own: %+v", mine)
		}
		proof := store.Proof{OrderID: "w", Address: "alice@example.org", Method: "3.2.2.2", Evidence: "e", Proven: now, Expires: now.Add(30 * day)}
		err3 := errors.Join(tx.InsertProof(proof), tx.OrderProven("w", m.ID, now.Add(day)), tx.InsertExternalRequest("w", []byte("csr"), now))
		again, err4 := tx.ProofToReuse("alice@example.org", m.ID, "a", now)
		if again != proof {
			t.Errorf("proof %+v", again)
		}
		for what, try := range map[string]func() (store.Proof, error){
			"of another person":          func() (store.Proof, error) { return tx.ProofToReuse("alice@example.org", "x", "a", now) },
			"for another organization":   func() (store.Proof, error) { return tx.ProofToReuse("alice@example.org", m.ID, "", now) },
			"that has expired":           func() (store.Proof, error) { return tx.ProofToReuse("alice@example.org", m.ID, "a", now.Add(30*day)) },
			"of an address with capital": func() (store.Proof, error) { return tx.ProofToReuse("Alice@example.org", m.ID, "a", now) },
		} {
			if p, err := try(); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a proof %s: %+v, %v", what, p, err)
			}
		}
		request, err5 := tx.ExternalRequest("w")
		if string(request) != "csr" {
			t.Errorf("request %q", request)
		}
		return errors.Join(err, err2, err3, err4, err5)
	})
}
