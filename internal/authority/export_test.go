package authority

import "context"

// Reload is what Maintain does every few seconds.
func (a *Authority) Reload(ctx context.Context) { a.reload(ctx) }

// HoldList lets nobody sign the list of a member, as if it took long, until
// release is called.
func HoldList(a *Authority, name string) (release func()) {
	m, err := a.Member(name)
	if err != nil {
		panic(err)
	}
	m.partitions[0].turn.Lock()
	return m.partitions[0].turn.Unlock
}
