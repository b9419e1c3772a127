package enrollment_test

import (
	"errors"
	"testing"

	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/store"
)

// Who loses the key of a certificate that was made for a run, because the run was
// cancelled before the file was written, does not keep the certificate: nobody
// could use it, others would encrypt to it.
func TestCancelRevokesWhatHasNoKey(t *testing.T) {
	h := newHouse(t, nil)
	issued := make(chan struct{})
	halt := true
	h.stop = func(step string) error {
		if step == enrollment.StepIssued && halt {
			halt = false
			close(issued)
			return errors.New("the process ends here")
		}
		return nil
	}
	r := h.start(list(2), enrollment.StartOptions{})
	stop := h.work()
	<-issued
	stop()
	if _, err := h.Cancel(t.Context(), h.boss, r.ID); err != nil {
		t.Fatal(err)
	}
	h.work()
	var people []store.RunPerson
	eventually(t, "everybody cancelled", func() bool {
		err := h.db.View(t.Context(), func(tx *store.Tx) (err error) {
			people, err = tx.RunPeople(r.ID, "cancelled", -1, 10)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return len(people) == 2
	})
	for _, p := range people {
		err := h.db.View(t.Context(), func(tx *store.Tx) error {
			valid, err := tx.ValidCertificatesOf(h.org, p.PersonID, h.clock())
			if len(valid) != 0 {
				t.Errorf("%s has %d valid certificates and no key", p.Address, len(valid))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
