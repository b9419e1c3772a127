package store

// RecentOrders reads the newest orders first, at most limit of them.
func (tx *Tx) RecentOrders(limit int) ([]Order, error) {
	ids, err := all(tx, "recent orders", scanString,
		`SELECT id FROM orders ORDER BY created_at DESC, id LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	var orders []Order
	for _, id := range ids {
		o, err := tx.Order(id)
		if err != nil {
			return nil, err
		}
		orders = append(orders, o)
	}
	return orders, nil
}

// RecentCertificates reads the issued certificates, newest first, at most limit
// of them.
func (tx *Tx) RecentCertificates(limit int) ([]Certificate, error) {
	return all(tx, "recent certificates", scanCertificate, `SELECT `+certificateColumns+`
		FROM certificates WHERE state = 'issued' ORDER BY issued_at DESC, id LIMIT $1`, limit)
}
