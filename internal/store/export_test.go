package store

// Text asks what the store itself has no use for.
func (tx *Tx) Text(query string, args ...any) (string, error) {
	return one(tx, query, scanString, query, args...)
}

// Recorded and Forgive look at, and forget, the audit entries that are owed.
func (tx *Tx) Recorded() error { return tx.recorded() }
func (tx *Tx) Forgive()        { tx.owed = nil }
