package auth

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// logins is 10,000 in `make logins`, as the table of threats asks.
var logins = flag.Int("logins", 600, "how many wrong sign-ins TestFlood tries")

// Row 33 of the threats: of wrong sign-ins at an account at most ten a minute
// reach the hash, whoever tries, and a client that goes from account to account
// has thirty.
func TestFlood(t *testing.T) {
	f, _ := claimed(t)
	hashed := 0
	f.matches = func(string, string) (bool, Cost, error) { hashed++; return false, f.cost, nil }
	start := f.now
	for i := range *logins {
		f.now = start.Add(time.Duration(i) * time.Second / 5) // five each second
		client := fmt.Sprintf("192.0.2.%d", i%200)
		_, err := f.SignIn(t.Context(), client, email, fmt.Sprintf("guess number %d", i))
		if !errors.Is(err, ErrCredentials) && !errors.Is(err, ErrTooMany) {
			t.Fatal(err)
		}
	}
	minutes := int(f.now.Sub(start)/time.Minute) + 1
	if most := TriesPerMinute * minutes; hashed > most || hashed < minutes {
		t.Errorf("%d of %d tries at one account reached the hash in %d minutes, at most %d may", hashed, *logins, minutes, most)
	}
	t.Logf("%d of %d tries at one account reached the hash in %d minutes", hashed, *logins, minutes)
	hashed, start = 0, f.now.Add(time.Hour)
	for i := range *logins {
		f.now = start.Add(time.Duration(i) * time.Second / 5)
		_, err := f.SignIn(t.Context(), "192.0.2.1", fmt.Sprintf("user%d@example.org", i), password)
		if !errors.Is(err, ErrCredentials) && !errors.Is(err, ErrTooMany) {
			t.Fatal(err)
		}
	}
	if most := ClientTriesPerMinute * (int(f.now.Sub(start)/time.Minute) + 1); hashed > most || hashed == 0 {
		t.Errorf("%d tries of one client reached the hash, at most %d may", hashed, most)
	}
}

// Whoever tries cannot tell an account that exists from one that does not, nor
// one that has no password: the same error, the same time. A password that is
// longer than any is hashed as well.
func TestAccountsLookAlike(t *testing.T) {
	f, token := claimed(t)
	if _, err := f.Invite(t.Context(), f.actor(t, token), "pass@example.org", "en", Grant{Validator, ""}); err != nil {
		t.Fatal(err)
	}
	_, _, err := f.accept(t.Context(), f.deliver(), "", "", byPasskey, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	tries := map[string][2]string{
		"exists": {email, "wrong password"}, "unknown": {"nobody@example.org", "wrong password"},
		"without a password": {"pass@example.org", "wrong password"}, "long password": {email, strings.Repeat("a", MaxPassword+1)},
		"no address": {"nobody", "wrong password"},
	}
	took := map[string][]time.Duration{}
	said := map[string]bool{}
	for range max(4, *logins/200) {
		for name, try := range tries { // interleaved, in a random order
			f.now = f.now.Add(10 * time.Second)
			start := time.Now()
			_, err := f.SignIn(t.Context(), "", try[0], try[1])
			took[name] = append(took[name], time.Since(start))
			if !errors.Is(err, ErrCredentials) {
				t.Fatalf("%s: %v", name, err)
			}
			said[err.Error()] = true
		}
	}
	if len(said) != 1 {
		t.Errorf("the answers differ: %v", said)
	}
	hash := LeastCost
	start := time.Now()
	hash.hash(password, make([]byte, saltSize))
	one := time.Since(start)
	for name, times := range took {
		slices.Sort(times)
		// The quickest still waited for one hash: none was left out. A
		// machine under load makes the slow ones mean nothing.
		if quickest := times[0]; quickest < one/4 {
			t.Errorf("%s: answered in %v, one hash takes %v", name, quickest, one)
		}
		t.Logf("%s: median %v, quickest %v", name, times[len(times)/2], times[0])
	}
}
