package jobs_test

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/jobs"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// Jobs that were given up are the operator's to revive or discard, each once, and
// the auditor's to see.
func TestDead(t *testing.T) {
	db := storetest.Open(t)
	now := time.Unix(1_800_000_000, 0)
	s := jobs.New(jobs.Options{Store: db, Clock: func() time.Time { return now }})
	for i := range jobs.Shown + 2 {
		id := fmt.Sprintf("j%03d", i)
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			j := store.Job{ID: id, Kind: "mail", Key: id, Lane: "x", Due: now, Holder: "n", Attempts: 1, MaxAttempts: 1, Created: now}
			return errors.Join(tx.InsertJob(j), tx.JobDead(j, now.Add(time.Duration(i)*time.Second), "away"))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	with := func(role auth.Role) auth.Actor {
		return auth.Actor{Kind: auth.KindAccount, ID: "x", Strong: true, Grants: []auth.Grant{{Role: role}}}
	}
	operator, auditor := with(auth.Operator), with(auth.Auditor)
	list, more, err := s.Dead(t.Context(), auditor)
	if err != nil || len(list) != jobs.Shown || !more || list[0].Why != "away" {
		t.Errorf("%d, %v, %v", len(list), more, err)
	}
	for name, a := range map[string]auth.Actor{"auditor": auditor, "validator": with(auth.Validator), "nobody": {}, "a part of the server": auth.Server("enrollment")} {
		if err := errors.Join(s.Revive(t.Context(), a, "j001"), s.Discard(t.Context(), a, "j001")); !errors.Is(err, auth.ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := s.Dead(t.Context(), a); name != "auditor" && !errors.Is(err, auth.ErrForbidden) {
			t.Errorf("%s looks: %v", name, err)
		}
	}
	if err := errors.Join(s.Revive(t.Context(), operator, "j001"), s.Discard(t.Context(), auth.Console(), "j002")); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"j001", "j002", "none"} {
		if err := s.Revive(t.Context(), operator, id); !errors.Is(err, jobs.ErrNotDead) {
			t.Errorf("%s revived again: %v", id, err)
		}
		if err := s.Discard(t.Context(), operator, id); !errors.Is(err, jobs.ErrNotDead) {
			t.Errorf("%s discarded again: %v", id, err)
		}
	}
	if list, more, err := s.Dead(t.Context(), operator); err != nil || len(list) != jobs.Shown || more {
		t.Errorf("%d, %v, %v", len(list), more, err)
	}
}
