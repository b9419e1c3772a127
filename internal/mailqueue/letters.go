package mailqueue

import (
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/store"
)

// Letters is the queue as [auth.Service] writes to it; nil where there is none.
func (q *Queue) Letters() auth.Queue {
	if q == nil {
		return nil
	}
	return letters{q}
}

type letters struct{ q *Queue }

func (l letters) Enqueue(tx *store.Tx, letter auth.Letter) error {
	_, err := l.q.Enqueue(tx, Letter{Kind: letter.Kind, About: letter.About, To: letter.To, Data: letter.Data})
	return err
}
