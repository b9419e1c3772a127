package certpath

import (
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/testca"
)

// TestIssuers: who has certificates of missing authorities is asked where no path
// leads to an anchor, and nowhere else; a few times, and no longer than something comes.
func TestIssuers(t *testing.T) {
	root := testca.NewRoot(t, "Issuers Root")
	chain := []*testca.Authority{root}
	for _, name := range []string{"One", "Two", "Three", "Four", "Five"} {
		chain = append(chain, chain[len(chain)-1].Authority("Issuers "+name))
	}
	for _, tt := range []struct {
		name  string
		depth int // authorities below the root
		given int // of which so many are there, from the leaf on
		leaf  []testca.Option
		stop  int // times that something comes; 0 for always
		asked int
		ok    bool
	}{
		{name: "nothing is missing", depth: 2, given: 2, ok: true},
		{name: "one is missing", depth: 2, given: 1, asked: 1, ok: true},
		{name: "four are missing", depth: 4, asked: 4, ok: true},
		{name: "five are missing", depth: 5, asked: 4},
		{name: "nothing comes", depth: 3, stop: -1, asked: 1},
		{name: "nothing more comes", depth: 3, stop: 1, asked: 2},
		{name: "another fault", depth: 2, given: 2, leaf: []testca.Option{testca.Expired()}},
	} {
		leaf := chain[tt.depth].Leaf("alice@example.com", testca.P256, tt.leaf...).Certificate
		var given []*cert.Certificate
		for i := range tt.given {
			given = append(given, chain[tt.depth-i].Certificate)
		}
		asked := 0
		found, err := Verify(leaf, &Options{
			Anchors: []*cert.Certificate{root.Certificate}, Intermediates: given, At: testca.Now,
			Issuers: func(c *cert.Certificate, known []*cert.Certificate) []*cert.Certificate {
				asked++
				if !c.Equal(leaf) || len(known) != tt.given+asked { // with the anchor
					t.Errorf("%s: asked for %s with %d known", tt.name, c.Subject, len(known))
				}
				if tt.stop != 0 && asked > tt.stop {
					return nil
				}
				return []*cert.Certificate{chain[tt.depth-tt.given-asked+1].Certificate}
			},
		})
		if (err == nil) != tt.ok || asked != tt.asked || tt.ok && len(found) != tt.depth+2 {
			t.Errorf("%s: a path of %d, %v; asked %d times", tt.name, len(found), err, asked)
		}
		if len(given) != tt.given {
			t.Errorf("%s: the caller's list was changed", tt.name)
		}
	}
}
