package api

import (
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
)

// Who may: those who look at an organization, who run it, who run the authority.
var (
	lookers   = roles(auth.Administrator, auth.Reader, auth.Operator, auth.Auditor)
	managers  = roles(auth.Administrator)
	operators = roles(auth.Operator)
)

// Limits of lists in a request.
const (
	maxList     = 4 << 20 // octets
	maxSelected = registration.MaxSelected
)

// paged are the parameters of a list that comes in pages.
type paged struct {
	Cursor string `json:"cursor,omitempty" max:"2000" doc:"The next of the page before."`
	Limit  int    `json:"limit,omitempty" min:"1" max:"500" doc:"How many there are in a page; 50 unless it says so."`
}

func (p paged) page() registration.Page { return registration.Page{After: p.Cursor, Limit: p.Limit} }

// list is a page, or all there is.
type list[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"The cursor of the next page; left out at the end."`
}

// listOf shows each item its own way; next is empty where there are no pages.
func listOf[A, B any](items []A, next string, show func(A) B) list[B] {
	l := list[B]{Items: make([]B, len(items)), Next: next}
	for i, item := range items {
		l.Items[i] = show(item)
	}
	return l
}

// selection names what an act is about.
type selection struct {
	IDs []string `json:"ids" min:"1" max:"100000"`
}

// moment leaves a time out that is none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// each never is null.
func each[T any](items []T) []T { return append([]T{}, items...) }
