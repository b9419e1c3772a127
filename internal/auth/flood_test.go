package auth

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// logins is 10,000 in `make logins`, as the table of threats asks.
var logins = flag.Int("logins", 600, "how many wrong sign-ins TestFlood tries, and a hundredth of them TestAccountsLookAlike measures")

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
	hashed := 0
	f.matches = func(stored, tried string) (bool, Cost, error) {
		hashed++
		ok, cost, err := matches(stored, tried)
		if cost != f.cost || len(tried) > MaxPassword {
			t.Errorf("a hash of %+v, %d bytes", cost, len(tried))
		}
		return ok, cost, err
	}
	took := map[string][]time.Duration{}
	said := map[string]bool{}
	rounds := max(2, *logins/100)
	for range rounds {
		for name, try := range tries { // interleaved, in a random order
			f.now = f.now.Add(10 * time.Second)
			hashed = 0
			start := time.Now()
			_, err := f.SignIn(t.Context(), "", try[0], try[1])
			took[name] = append(took[name], time.Since(start))
			if !errors.Is(err, ErrCredentials) || hashed != 1 {
				t.Fatalf("%s: %v, %d hashes", name, err, hashed)
			}
			said[err.Error()] = true
		}
	}
	if len(said) != 1 {
		t.Errorf("the answers differ: %v", said)
	}
	if rounds < 50 {
		return
	}
	// Is one of two that were tried side by side slower more often than by chance?
	// That is so when zero is outside the interval of the median difference, at
	// three standard deviations; load on the machine changes nothing about it.
	for name, times := range took {
		slower := 0
		for i, d := range times {
			if d > took["exists"][i] {
				slower++
			}
		}
		share := float64(slower) / float64(rounds)
		sorted := slices.Sorted(slices.Values(times))
		t.Logf("%s: median %v, slower than one that exists in %.0f %% of %d pairs", name, sorted[rounds/2], 100*share, rounds)
		if most := 3 * math.Sqrt(0.25/float64(rounds)); name != "exists" && math.Abs(share-0.5) > most {
			t.Errorf("%s: %.2f of the pairs, allowed is 0.5 and %.2f more or less", name, share, most)
		}
	}
}
