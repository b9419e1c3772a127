package store

// Text asks what the store itself has no use for.
func (tx *Tx) Text(query string, args ...any) (string, error) {
	return one(tx, query, scanString, query, args...)
}
