package store_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

// crowd writes n members of organization a, every second one with a certificate
// that ends some time in the next 1,000 days.
func crowd(t *testing.T, n int) *store.DB {
	t.Helper()
	source := storetest.Source(t)
	db := open(t, source)
	update(t, db, func(tx *store.Tx) error {
		return errors.Join(tx.InsertOrganization(organization("a")), tx.InsertOrganization(organization("b")), tx.InsertProfile([]byte("p"), "{}", now),
			tx.InsertAuthority(store.Authority{ID: "ca", Name: "issuing", Kind: "issuing", KeyURI: "file:i", Certificate: []byte("i"), Created: now}))
	})
	octets := func(text string) string {
		if storetest.Postgres() {
			return `convert_to(` + text + `, 'UTF8')`
		}
		return `CAST(` + text + ` AS BLOB)`
	}
	sql := func(text string) {
		storetest.SQL(t, source, fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) `, n)+text)
	}
	const id = `'p' || substr('0000000' || i, -7)`
	pid := id
	if storetest.Postgres() {
		pid = `'p' || lpad(i::text, 7, '0')`
	}
	stamp := fmt.Sprint(now.Unix())
	sql(`INSERT INTO people (id, name, language, created_at, given_name, surname, local_name) SELECT ` + pid + `, 'Taro ' || i, 'ja', ` + stamp + `, 'Taro', 'Name' || (i % 1000), '田中' FROM n`)
	sql(`INSERT INTO memberships (person_id, organization_id, number, department, vouched_by, vouched_at, place, since)
		SELECT ` + pid + `, CASE WHEN i % 20 = 0 THEN 'b' ELSE 'a' END, '' || i, 'Sales', 'x', ` + stamp + `, ` + octets(`'name' || (i % 1000)`) + `, ` + stamp + ` FROM n`)
	sql(`INSERT INTO member_mailboxes (organization_id, mailbox_key, address, person_id, position)
		SELECT CASE WHEN i % 20 = 0 THEN 'b' ELSE 'a' END, 'm' || i || '@example.jp', 'm' || i || '@example.jp', ` + pid + `, 0 FROM n`)
	for _, word := range []string{`'name' || (i % 1000)`, `'taro'`, `'m' || i || '@example.jp'`} {
		sql(`INSERT INTO member_words (organization_id, word, person_id) SELECT CASE WHEN i % 20 = 0 THEN 'b' ELSE 'a' END, ` + octets(word) + `, ` + pid + ` FROM n`)
	}
	sql(fmt.Sprintf(`INSERT INTO certificates (id, authority_id, serial, state, profile_hash, key_hash, not_after, reserved_at, issued_at, note, person_id, organization_id, sha256)
		SELECT 'c' || i, 'ca', %s, 'issued', %s, %s, %d + (i %% 1000) * 86400, 1, 1, '', %s, CASE WHEN i %% 20 = 0 THEN 'b' ELSE 'a' END, %s FROM n WHERE i %% 2 = 1`,
		octets(`'s' || i`), octets(`'p'`), octets(`'k'`), now.Unix(), pid, octets(`'c' || i`)))
	sql(`INSERT INTO orders (id, state, name, language, secret_hash, person_id, profile_hash, reason, created_at, expires_at, organization_id, kind, waiting_for)
		SELECT 'o' || i, 'applied', '', 'en', ` + octets(`''`) + `, ` + pid + `, ` + octets(`'p'`) + `, '', ` + stamp + ` + i, ` + fmt.Sprint(now.Add(day).Unix()) + `, CASE WHEN i % 20 = 0 THEN 'b' ELSE 'a' END, 'organization',
		CASE WHEN i % 10 = 0 THEN 'approval' ELSE 'mailbox' END FROM n WHERE i % 5 = 0`)
	if storetest.Postgres() {
		storetest.SQL(t, source, `ANALYZE`)
	}
	return db
}

// queries are what an administrator asks of a list of people.
func queries() map[string]store.MemberQuery {
	q := func(change func(*store.MemberQuery)) store.MemberQuery {
		q := store.MemberQuery{OrganizationID: "a", Now: now, EndingBefore: now.Add(30 * day), Limit: 51}
		change(&q)
		return q
	}
	list := map[string]store.MemberQuery{
		"first page":  q(func(*store.MemberQuery) {}),
		"a late page": q(func(q *store.MemberQuery) { q.AfterPlace, q.AfterID = []byte("name900"), "p0000900" }),
		"an address":  q(func(q *store.MemberQuery) { q.Words = [][]byte{[]byte("m777")} }),
		"a name":      q(func(q *store.MemberQuery) { q.Words = [][]byte{[]byte("name77")} }),
		"two words":   q(func(q *store.MemberQuery) { q.Words = [][]byte{[]byte("taro"), []byte("name771")} }),
	}
	for _, s := range []store.MemberState{store.MemberWithout, store.MemberValid, store.MemberExpiring, store.MemberExpired, store.MemberRevoked, store.MemberWaiting, store.MemberLeft} {
		list[string(s)] = q(func(q *store.MemberQuery) { q.State = s })
	}
	return list
}

// No list of people is read by going through a whole table.
func TestMemberPlans(t *testing.T) {
	if storetest.OnPostgres(t) {
		return
	}
	db := crowd(t, 100)
	view(t, db, func(tx *store.Tx) error {
		for what, q := range queries() {
			lines, err := tx.Plan(q)
			if err != nil {
				return err
			}
			for _, line := range lines {
				// An intermediate result (h, a subquery) is as long as what was found.
				if strings.HasPrefix(line, "SCAN ") && !strings.Contains(line, "SUBQUERY") && !strings.HasPrefix(line, "SCAN (") {
					t.Errorf("%s: %s\n%s", what, line, strings.Join(lines, "\n"))
				}
			}
		}
		return nil
	})
}

// With many people every question takes a moment. In full, with 100,000, it is
// run by `make rows`.
func TestManyMembers(t *testing.T) {
	n, bound := 5000, time.Second
	if os.Getenv("MAILSEAL_ROWS") != "" {
		n, bound = 100_000, 3*time.Second // on a machine that does other things as well
	} else if testing.Short() {
		t.Skip("long: thousands of people")
	}
	db := crowd(t, n)
	view(t, db, func(tx *store.Tx) error {
		timed := func(what string, ask func() (int, error)) {
			t.Helper()
			started := time.Now()
			found, err := ask()
			took := time.Since(started)
			t.Logf("%-24s %6d found in %v", what, found, took.Round(10*time.Microsecond))
			if err != nil || took > bound {
				t.Errorf("%s: %v, %v", what, took, err)
			}
		}
		for what, q := range queries() {
			timed(what, func() (int, error) { list, err := tx.Members(q); return len(list), err })
			timed(what+", counted", func() (int, error) { n, err := tx.CountMembers(q); return int(n), err })
		}
		timed("dashboard", func() (int, error) { c, err := tx.CountOrganization("a", now); return int(c.People), err })
		timed("waiting orders", func() (int, error) {
			list, err := tx.Orders(store.OrderQuery{OrganizationID: "a", WaitingFor: "approval", Limit: 51})
			return len(list), err
		})
		timed("what 500 people have", func() (found int, err error) {
			for i := 1; i <= 500; i++ {
				id := fmt.Sprintf("p%07d", i)
				held, err := tx.HoldingsOf("a", id)
				orders, err2 := tx.Orders(store.OrderQuery{OrganizationID: "a", PersonID: id, State: "open", Now: now, Limit: 50})
				if err := errors.Join(err, err2); err != nil {
					return found, err
				}
				found += len(held) + len(orders)
			}
			return found, nil
		})
		timed("certificates that end", func() (int, error) {
			list, err := tx.EndingHoldings("a", now, now.Add(30*day), 51)
			return len(list), err
		})
		return nil
	})
}
