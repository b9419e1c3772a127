package enrollment_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
)

// A preview that one node keeps another one shows and starts, once, for who made
// it, in its organization, until it is over.
func TestKeptPreview(t *testing.T) {
	h := newHouse(t, nil)
	admin := func(name string) auth.Actor {
		return auth.Actor{Kind: auth.KindAccount, ID: name, Strong: true, Grants: []auth.Grant{{Role: auth.Administrator, Organization: h.org}}}
	}
	ann, ben := admin("ann"), admin("ben")
	text := list(30) + "nobody\np1@example.jp,Jiro,Sato,,,\n"
	made := h.preview(text)
	id, err := h.KeepPreview(t.Context(), ann, made, enrollment.ModeServerKeys)
	if err != nil {
		t.Fatal(err)
	}
	first := h.Service
	h.open(false) // another node, or this one after a restart
	got, mode, err := h.KeptPreview(t.Context(), ann, h.org, id)
	if err != nil || mode != enrollment.ModeServerKeys {
		t.Fatalf("%q, %v", mode, err)
	}
	if !reflect.DeepEqual(got, made) {
		t.Errorf("\n%+v\nis not\n%+v", got.List, made.List)
	}
	refused := func(what string, actor auth.Actor, organization, id string, want error) {
		t.Helper()
		if _, _, err := h.KeptPreview(t.Context(), actor, organization, id); !errors.Is(err, want) {
			t.Errorf("%s reads: %v", what, err)
		}
		if _, err := h.StartKept(t.Context(), actor, organization, id, enrollment.StartOptions{LeaveOut: true}); !errors.Is(err, want) {
			t.Errorf("%s starts: %v", what, err)
		}
	}
	other := auth.Actor{Kind: auth.KindAccount, ID: "ann", Strong: true, Grants: []auth.Grant{{Role: auth.Administrator, Organization: "other"}}}
	refused("another administrator", ben, h.org, id, enrollment.ErrNoPreview)
	refused("another organization", other, "other", id, enrollment.ErrNoPreview)
	refused("somebody from outside", other, h.org, id, registration.ErrForbidden)
	if _, err := h.KeepPreview(t.Context(), other, made, ""); !errors.Is(err, registration.ErrForbidden) {
		t.Errorf("somebody from outside keeps: %v", err)
	}

	// Both nodes hear a yes at once.
	results := make(chan error, 2)
	for _, s := range []*enrollment.Service{first, h.Service} {
		go func() {
			_, err := s.StartKept(t.Context(), ann, h.org, id, enrollment.StartOptions{LeaveOut: true})
			results <- err
		}()
	}
	one, two := <-results, <-results
	if one != nil {
		one, two = two, one
	}
	if one != nil || !errors.Is(two, enrollment.ErrNoPreview) {
		t.Errorf("twice: %v, %v", one, two)
	}
	refused("who has used it", ann, h.org, id, enrollment.ErrNoPreview)

	// Each has one, the organization a bounded number, and all for a while.
	older, err1 := h.KeepPreview(t.Context(), ann, made, "")
	newer, err2 := h.KeepPreview(t.Context(), ann, made, "")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	refused("who has made another one", ann, h.org, older, enrollment.ErrNoPreview)
	for i := range 16 {
		h.pass(time.Second)
		if _, err := h.KeepPreview(t.Context(), admin(fmt.Sprint("admin", i)), made, ""); err != nil {
			t.Fatal(err)
		}
	}
	refused("who made the oldest of too many", ann, h.org, newer, enrollment.ErrNoPreview)
	last, err := h.KeepPreview(t.Context(), ben, made, "")
	if err != nil {
		t.Fatal(err)
	}
	h.pass(enrollment.PreviewLife)
	refused("who comes late", ben, h.org, last, enrollment.ErrNoPreview)
	if err := h.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = h.db.View(t.Context(), func(tx *store.Tx) error {
		_, err := tx.RunPreview(h.org, ben.String(), last, time.Unix(0, 0))
		return err
	})
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a preview that is over is kept: %v", err)
	}
	if strings.Contains(id, "/") || len(id) < 20 {
		t.Errorf("%q can be guessed", id)
	}
}
