package lint

import (
	"slices"
	"testing"

	"github.com/mailseal/mailseal/internal/oid"
)

func TestExamine(t *testing.T) {
	const private = "2.25.340282366920938463463374607431768211455.3.2"
	sponsor := Kind{SponsorValidated, Multipurpose}
	foreign := subscriber(sponsor)
	foreign.set(policies(private))
	nameless := subscriber(sponsor)
	nameless.set(policies(private))
	nameless.without(oid.Surname, oid.GivenName)
	broken := subscriber(sponsor)
	broken.set(extra{oid.ExtSubjectAltName, false, []byte{0x30, 5}})
	server := subscriber(sponsor)
	server.set(purposes(oid.ServerAuth))
	server.set(policies("2.23.140.1.2.1"))
	for _, tt := range []struct {
		name  string
		draft *draft
		as    Kind
		kind  Kind
		finds []string // among others, where there are any
		count int
	}{
		{"by its policy", subscriber(sponsor), Kind{}, sponsor, nil, 0},
		{"said to be what it is", subscriber(sponsor), sponsor, sponsor, nil, 0},
		{"said to be something else", subscriber(sponsor), Kind{SponsorValidated, Strict}, Kind{SponsorValidated, Strict}, []string{"policy-present", "eku-strict", "subject-attribute"}, 3},
		{"private, unknown", foreign, Kind{}, Kind{}, []string{"policy-present"}, 2},
		{"private, known", foreign, sponsor, sponsor, nil, 0},
		{"private, with zlint's rules", nameless, sponsor, sponsor, []string{"personal-name-required", "e_invalid_individual_identity"}, 2},
		{"unreadable for zlint", broken, Kind{}, sponsor, []string{"encoding", "unreadable", "san-repeats-subject"}, 3},
		{"for a web server", server, Kind{}, Kind{}, nil, 0},
		{"an authority", authority(), sponsor, Kind{}, nil, 0},
	} {
		got := Examine(parse(t, tt.draft.write()), tt.as)
		if names := rules(got.Findings); got.Kind != tt.kind || len(names) != tt.count {
			t.Errorf("%s: %s, %q", tt.name, got.Kind, names)
		}
		for _, want := range tt.finds {
			if !slices.Contains(rules(got.Findings), want) {
				t.Errorf("%s: %q lacks %s", tt.name, rules(got.Findings), want)
			}
		}
	}
}
