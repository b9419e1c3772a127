package store

// RecentOrders reads the newest orders first, at most limit of them.
func (tx *Tx) RecentOrders(limit int) ([]Order, error) {
	return all(tx, "recent orders", scanOrder, `SELECT `+orderColumns+`
		FROM orders o ORDER BY o.created_at DESC, o.id LIMIT $2`, lineFeed, limit)
}

// RecentCertificates reads the issued certificates, newest first, at most limit
// of them.
func (tx *Tx) RecentCertificates(limit int) ([]Certificate, error) {
	return all(tx, "recent certificates", scanCertificate, `SELECT `+certificateColumns+`
		FROM certificates WHERE state = 'issued' ORDER BY issued_at DESC, id LIMIT $1`, limit)
}
