package recovery_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/testca"
)

// holds enters a certificate as one of a person's, which the installation trusts.
func (o *office) holds(t *testing.T, name string, l *testca.Leaf) {
	t.Helper()
	o.imported(t, name, l, org, "server")
}

func (o *office) imported(t *testing.T, name string, l *testca.Leaf, organization, trust string) {
	t.Helper()
	c := l.Certificate
	sum := c.Digest()
	id := "foreign-" + c.SHA256()[:16]
	o.update(t, func(tx *store.Tx) error {
		return errors.Join(
			tx.InsertForeignCertificate(store.ForeignCertificate{
				ID: id, OrganizationID: organization, PersonID: "p-" + name, Issuer: "CA", Serial: c.Serial.Bytes(), DER: c.Raw, Chain: []byte{}, SHA256: sum[:],
				KeyHash: keyHash(t, l), NotBefore: c.NotBefore, NotAfter: c.NotAfter, Added: o.now, ForeignTrust: store.ForeignTrust{Trust: trust},
			}),
			audit.Append(t.Context(), tx, audit.Entry{At: o.now, Act: store.ActForeign, Object: id}),
		)
	})
}

// A person who is signed in finds what is kept of theirs, and asks for the former
// keys with a certificate that they have: with the same officers and rules as
// anybody, and for nobody else's.
func TestOwnKeys(t *testing.T) {
	o := open(t)
	o.officers(t, 2, "ana", "ben", "chie")
	former := o.escrow(t, "alice", "alice-1", testca.P256)
	current := o.escrow(t, "alice", "alice-2", testca.P256)
	o.keys["alice"] = current.leaf
	o.person(t, "bob")
	expired := o.ca.Leaf("alice@example.org", testca.P256, testca.Expired())
	signing := o.ca.Leaf("alice@example.org", testca.P256, testca.KeyUsage(1))
	bobs := o.ca.Leaf("bob@example.org", testca.P256)
	o.holds(t, "bob", bobs)
	for _, l := range []*testca.Leaf{expired, signing, current.leaf} {
		o.holds(t, "alice", l)
	}

	recipients, err := o.Recipients(t.Context(), person("alice"), org)
	if err != nil || len(recipients) != 1 || !recipients[0].Equal(current.leaf.Certificate) {
		t.Fatalf("%v, %v", recipients, err)
	}
	to := current.leaf.Certificate.SHA256()
	for name, c := range map[string]struct {
		actor             auth.Actor
		recipient, reason string
		want              string
	}{
		"an expired certificate": {person("alice"), expired.Certificate.SHA256(), reason, "input.recovery.recipient.own"},
		"one that signs":         {person("alice"), signing.Certificate.SHA256(), reason, "input.recovery.recipient.own"},
		"somebody else's":        {person("alice"), bobs.Certificate.SHA256(), reason, "input.recovery.recipient.own"},
		"no reason":              {person("alice"), to, "", "input.recovery.reason"},
		"who has no keys here":   {person("bob"), bobs.Certificate.SHA256(), reason, "input.recovery.keys.former"},
	} {
		_, err := o.RequestOwn(t.Context(), c.actor, org, c.recipient, c.reason)
		if e, is := errors.AsType[*registration.InputError](err); !is || e.Key != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := o.RequestOwn(t.Context(), o.actor(t, "dan"), org, to, reason); !errors.Is(err, auth.ErrForbidden) {
		t.Errorf("an account asks as a person: %v", err)
	}
	list, err := o.RequestOwn(t.Context(), person("alice"), org, to, reason)
	if err != nil || len(list) != 1 || len(list[0].Keys) != 1 || list[0].Keys[0] != hex.EncodeToString(keyHash(t, former.leaf)) || list[0].By != "alice" {
		t.Fatalf("%+v, %v", list, err)
	}
	if _, err := o.RequestOwn(t.Context(), person("alice"), org, to, reason); inputKey(err) != "input.recovery.open" {
		t.Errorf("asked twice: %v", err)
	}
	own, err := o.Own(t.Context(), person("alice"))
	if err != nil || len(own) != 1 || own[0].Name != "Example" || len(own[0].Keys) != 2 || len(own[0].Requests) != 1 {
		t.Fatalf("%+v, %v", own, err)
	}
	if own, err := o.Own(t.Context(), person("bob")); err != nil || len(own) != 0 {
		t.Errorf("bob sees %+v, %v", own, err)
	}
	if _, err := o.Own(t.Context(), o.actor(t, "dan")); !errors.Is(err, auth.ErrForbidden) {
		t.Errorf("an account sees what is a person's own: %v", err)
	}
	for _, name := range []string{"ana", "ben"} {
		if err := o.answer(t, name, recovery.Release, list[0].ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.Release(t.Context(), person("bob"), org, list[0].ID); !errors.Is(err, auth.ErrForbidden) {
		t.Errorf("bob picks up what alice asked for: %v", err)
	}
	b, err := o.Release(t.Context(), person("alice"), org, list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := b.Open(o.with("alice")); err != nil || !opens(ids, former.leaf) {
		t.Fatal(ids, err)
	}
	select {
	case m := <-o.told:
		if m.To != "alice@example.org" || !strings.Contains(m.Text, "Asked for by:  alice") {
			t.Errorf("told %+v", m)
		}
	case <-time.After(10 * time.Second):
		t.Error("the owner was not told")
	}
}

func inputKey(err error) string {
	if e, is := errors.AsType[*registration.InputError](err); is {
		return e.Key
	}
	return ""
}

// twoQuorums has a key of Alice with each of two sets of officers; own is what
// she has now.
func twoQuorums(t *testing.T) (o *office, own *testca.Leaf) {
	t.Helper()
	o = open(t)
	o.officers(t, 2, "ana", "ben", "chie")
	o.escrow(t, "alice", "alice-1", testca.P256)
	o.officers(t, 2, "ben", "chie", "eve")
	o.escrow(t, "alice", "alice-2", testca.P256)
	own = o.ca.Leaf("alice@example.org", testca.P256)
	o.holds(t, "alice", own)
	return o, own
}

// During a change of officers the keys lie with two sets of them: one act asks
// both.
func TestOwnKeysOfTwoQuorums(t *testing.T) {
	o, own := twoQuorums(t)
	list, err := o.RequestOwn(t.Context(), person("alice"), org, own.Certificate.SHA256(), reason)
	if err != nil || len(list) != 2 || list[0].Quorum == list[1].Quorum {
		t.Fatalf("%v, %v", list, err)
	}
}

// More officers than there can be are told as such, not as a range that is none.
func TestThresholdTooHigh(t *testing.T) {
	o := open(t)
	if _, err := o.SetOfficers(t.Context(), o.actor(t, "dan"), org, recovery.MaxOfficers, nil); inputKey(err) != "input.recovery.threshold.most" {
		t.Error(err)
	}
}

// What an administrator took in makes no certificate a person's own, to which keys
// are released: neither with a root that nobody here trusts, or the organization
// alone, nor what another organization took in.
func TestRecipientsThatWereTakenIn(t *testing.T) {
	o := open(t)
	o.officers(t, 2, "ana", "ben", "chie")
	o.escrow(t, "alice", "alice-1", testca.P256)
	o.update(t, func(tx *store.Tx) error {
		return errors.Join(tx.InsertOrganization(store.Organization{ID: "other", Name: "Other", Country: "JP", Standing: "active", Settings: "{}", Created: o.now}),
			audit.Append(t.Context(), tx, audit.Entry{At: o.now, Act: store.ActOrganization, Object: "other"}))
	})
	good := o.ca.Leaf("alice@example.org", testca.P256)
	o.holds(t, "alice", good)
	for _, bad := range []struct{ organization, trust string }{{org, ""}, {org, "organization"}, {"other", "server"}} {
		l := o.ca.Leaf("alice@example.org", testca.P256)
		o.imported(t, "alice", l, bad.organization, bad.trust)
		if _, err := o.RequestOwn(t.Context(), person("alice"), org, l.Certificate.SHA256(), reason); inputKey(err) != "input.recovery.recipient.own" {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	list, err := o.Recipients(t.Context(), person("alice"), org)
	if err != nil || len(list) != 1 || !list[0].Equal(good.Certificate) {
		t.Errorf("%d are offered, %v", len(list), err)
	}
}

// What another organization had issued here is no certificate that this one's keys
// are released to: its administrator may have the key. What the person asked for
// alone is.
func TestRecipientsThroughAnotherOrganization(t *testing.T) {
	o := open(t)
	o.officers(t, 2, "ana", "ben", "chie")
	o.escrow(t, "alice", "alice-1", testca.P256)
	foreign, ours, own := o.through(t, "other"), o.through(t, org), o.through(t, "")
	list, err := o.Recipients(t.Context(), person("alice"), org)
	if err != nil || len(list) != 2 {
		t.Errorf("%d are offered, %v", len(list), err)
	}
	for _, c := range list {
		if c.Equal(foreign.Certificate) || !c.Equal(ours.Certificate) && !c.Equal(own.Certificate) {
			t.Errorf("%s is offered", c.SHA256())
		}
	}
	if _, err := o.RequestOwn(t.Context(), person("alice"), org, foreign.Certificate.SHA256(), reason); inputKey(err) != "input.recovery.recipient.own" {
		t.Errorf("asked for with another organization's: %v", err)
	}
}

// Pressed twice, it is asked for once.
func TestOwnKeysAskedTwiceAtOnce(t *testing.T) {
	o := open(t)
	o.officers(t, 2, "ana", "ben", "chie")
	o.escrow(t, "alice", "alice-1", testca.P256)
	own := o.ca.Leaf("alice@example.org", testca.P256)
	o.holds(t, "alice", own)
	var wait sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wait.Go(func() {
			_, errs[i] = o.RequestOwn(t.Context(), person("alice"), org, own.Certificate.SHA256(), reason)
		})
	}
	wait.Wait()
	good := 0
	for _, err := range errs {
		if err == nil {
			good++
		} else if inputKey(err) != "input.recovery.open" {
			t.Error(err)
		}
	}
	if good != 1 {
		t.Errorf("asked for %d times", good)
	}
}

// Where the officers of some keys cannot be asked, those of the others are, and who
// asks is told.
func TestOwnKeysInPart(t *testing.T) {
	o, own := twoQuorums(t)
	o.update(t, func(tx *store.Tx) error { // two officers of the first three have her mailboxes by now
		return errors.Join(tx.HoldMailbox(key("ana"), "ana@example.org", "p-alice", o.now), tx.HoldMailbox(key("chie"), "chie@example.org", "p-alice", o.now))
	})
	list, err := o.RequestOwn(t.Context(), person("alice"), org, own.Certificate.SHA256(), reason)
	if len(list) != 1 || inputKey(err) != "input.recovery.few" {
		t.Fatalf("%d requests, %v", len(list), err)
	}
	if all, err := o.Requests(t.Context(), person("alice"), org, time.Time{}, "", 10); err != nil || len(all) != 1 {
		t.Errorf("%d are there, %v", len(all), err)
	}
}
