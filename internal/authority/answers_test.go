package authority

import (
	"sync"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/oid"
)

// A response that was made before a revocation is not kept after it, whenever it
// comes.
func TestAnswersFollow(t *testing.T) {
	now := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	about := ocspAnswer{"ca", "serial", oid.SHA256, false}
	good := &OCSPResponse{Until: now.Add(time.Hour)}
	for range 2000 {
		var s answers
		var all sync.WaitGroup
		all.Go(func() {
			for range 20 {
				s.put(about, good, 4)
			}
		})
		s.follow("ca", []byte("serial"), 5)
		all.Wait()
		if s.get(about, now) != nil {
			t.Fatal("what was good before the revocation is still said")
		}
	}
	var s answers
	s.put(about, good, 5)
	if s.get(about, now) == nil {
		t.Error("what was made after the change is not kept")
	}
}
