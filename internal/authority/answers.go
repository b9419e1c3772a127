package authority

import (
	"sync"
	"time"

	"github.com/mailseal/mailseal/internal/oid"
)

// maxAnswers bounds the responses that are kept in memory, of some 2 kB each.
const maxAnswers = 1 << 15

// answers are OCSP responses in memory. What was read from the store before a
// change that this process has already followed is not kept: nobody would drop
// it any more.
type answers struct {
	mutex    sync.RWMutex
	kept     map[ocspAnswer]*OCSPResponse
	followed int64 // the last change of standing that was followed
}

func (s *answers) get(about ocspAnswer, now time.Time) *OCSPResponse {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	if r := s.kept[about]; r != nil && now.Before(r.Until) {
		return r
	}
	return nil
}

// put keeps a response that was made from the store as it was after change seq.
func (s *answers) put(about ocspAnswer, r *OCSPResponse, seq int64) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if seq < s.followed {
		return
	}
	for other := range s.kept { // any: the order of a map is random
		if len(s.kept) < maxAnswers {
			break
		}
		delete(s.kept, other)
	}
	if s.kept == nil {
		s.kept = map[ocspAnswer]*OCSPResponse{}
	}
	s.kept[about] = r
}

// drop forgets what was said about a certificate.
func (s *answers) drop(authority string, serial []byte) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.forget(authority, serial)
}

func (s *answers) forget(authority string, serial []byte) {
	for _, hash := range []oid.OID{oid.SHA1, oid.SHA256, oid.SHA384, oid.SHA512} {
		for _, bare := range []bool{false, true} {
			delete(s.kept, ocspAnswer{authority, string(serial), hash, bare})
		}
	}
}

// restart forgets everything that may be older than change seq.
func (s *answers) restart(seq int64) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.kept, s.followed = nil, seq
}

// follow forgets what was said about a certificate before change seq, and takes
// nothing of that any more: in one step, because a response that was made before
// the change may come at any moment, and would stay until its end.
func (s *answers) follow(authority string, serial []byte, seq int64) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.followed = max(s.followed, seq)
	s.forget(authority, serial)
}

func (s *answers) last() int64 {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	return s.followed
}
