package store

import (
	"slices"
	"testing"
)

func TestInOrder(t *testing.T) {
	for _, test := range []struct {
		lines string
		want  []string
		bad   bool
	}{
		{"", nil, false},
		{"0 a@example.org", []string{"a@example.org"}, false},
		{"10 c@example.org\n2 b@example.org\n0 \"a a\"@example.org", []string{`"a a"@example.org`, "b@example.org", "c@example.org"}, false},
		{"a@example.org", nil, true},
		{"0", nil, true},
		{"x a@example.org", nil, true},
	} {
		got, err := inOrder(test.lines)
		if (err != nil) != test.bad || !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, %v", test.lines, got, err)
		}
	}
}
