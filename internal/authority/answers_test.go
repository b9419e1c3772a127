package authority

import (
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/oid"
)

// A response that was made before a revocation is neither kept after it nor taken
// later; one that was made after it is.
func TestAnswersFollow(t *testing.T) {
	now := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	about := ocspAnswer{"ca", "serial", oid.SHA256, false}
	response := &OCSPResponse{Until: now.Add(time.Hour)}
	var s answers
	s.put(about, response, 4)
	if s.get(about, now) == nil {
		t.Fatal("nothing is kept")
	}
	s.follow("ca", []byte("serial"), 5)
	if s.get(about, now) != nil {
		t.Error("what was good before the revocation is still said")
	}
	s.put(about, response, 4)
	if s.get(about, now) != nil {
		t.Error("what was good before the revocation is taken after it")
	}
	s.put(about, response, 5)
	if s.get(about, now) == nil {
		t.Error("what was made after the revocation is not kept")
	}
}
