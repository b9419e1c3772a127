package issuance

import (
	"crypto/elliptic"
	"slices"
	"testing"

	"github.com/mailseal/mailseal/internal/oid"
)

// All standard profiles can be issued under, and each has a name of its own. The
// text of the first one is what orders of the first release keep.
func TestStandardProfiles(t *testing.T) {
	_, is := authorities(t, ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()))
	key := ecKey(t, elliptic.P256()).Public()
	seen := map[string]bool{}
	for _, c := range StandardProfiles(testArc) {
		p := profile(t, c)
		issueNames(t, p, is, key, namesFor(t, c.Type))
		if seen[c.Name] {
			t.Errorf("%s is there twice", c.Name)
		}
		seen[c.Name] = true
		if again, ok := StandardProfile(testArc, c.Name); !ok || !slices.Equal(profile(t, again).Text(), p.Text()) {
			t.Errorf("%s is not found by its name", c.Name)
		}
	}
	for _, name := range []string{"basic", "iv-ov", "ov-strict", "iv-signing", "iv-ov-strict-encryption"} {
		if !seen[name] {
			t.Errorf("no %s", name)
		}
	}
	if len(seen) != 4*2*3 {
		t.Errorf("%d profiles", len(seen))
	}
	if _, ok := StandardProfile(testArc, "wildcard"); ok {
		t.Error("a profile that nobody knows")
	}
	basic, _ := StandardProfile("2.25.1", "basic")
	const stored = `{"name":"basic","type":"mailbox-validated","generation":"multipurpose","policy":"2.25.1.1.2","validity_days":730,` +
		`"capabilities":["` + string(oid.AES256CBC) + `","` + string(oid.AES128CBC) + `"]}`
	if got := string(profile(t, basic).Text()); got != stored {
		t.Errorf("%s\nwant %s", got, stored)
	}
}
