package store

import "time"

// APIRequest is one row of api_requests.
type APIRequest struct {
	Actor     string
	Key       string
	Hash      []byte // of what was asked
	Status    int    // 0: under way, or nobody knows how it ended
	MediaType string
	Answer    []byte
	Asked     time.Time
	Lease     time.Time // until when it is under way, unless somebody says again that it is
}

// BeginAPIRequest takes a key for a request. ErrConflict: it is taken.
func (tx *Tx) BeginAPIRequest(r APIRequest) error {
	return tx.exec("begin request", `INSERT INTO api_requests (actor, request_key, request_hash, status, media_type, answer, asked_at, lease_until)
		VALUES ($1, $2, $3, 0, '', $4, $5, $6) ON CONFLICT DO NOTHING`, r.Actor, r.Key, r.Hash, []byte{}, unix(r.Asked), unix(r.Lease))
}

// APIRequest reads the request that has a key.
func (tx *Tx) APIRequest(actor, key string) (APIRequest, error) {
	return one(tx, "request", func(s scanner) (r APIRequest, err error) {
		return r, s.Scan(&r.Actor, &r.Key, &r.Hash, &r.Status, &r.MediaType, &r.Answer, seconds{&r.Asked}, seconds{&r.Lease})
	}, `SELECT actor, request_key, request_hash, status, media_type, answer, asked_at, lease_until FROM api_requests
		WHERE actor = $1 AND request_key = $2`, actor, key)
}

// ExtendAPIRequest says that a request is still under way. ErrConflict: it is not.
func (tx *Tx) ExtendAPIRequest(actor, key string, lease time.Time) error {
	return tx.exec("extend request", `UPDATE api_requests SET lease_until = $3 WHERE actor = $1 AND request_key = $2 AND status = 0`,
		actor, key, unix(lease))
}

// AnswerAPIRequest keeps the answer for who asks again.
func (tx *Tx) AnswerAPIRequest(r APIRequest) error {
	return tx.exec("answer of a request", `UPDATE api_requests SET status = $3, media_type = $4, answer = $5
		WHERE actor = $1 AND request_key = $2 AND status = 0`, r.Actor, r.Key, r.Status, r.MediaType, append([]byte{}, r.Answer...))
}

// DropAPIRequest gives a key back: nothing was done.
func (tx *Tx) DropAPIRequest(actor, key string) error {
	_, err := tx.execCount("drop request", `DELETE FROM api_requests WHERE actor = $1 AND request_key = $2 AND status = 0`, actor, key)
	return err
}

// ForgetAPIRequests drops up to limit requests from before a time.
func (tx *Tx) ForgetAPIRequests(before time.Time, limit int) error {
	_, err := tx.execCount("forget requests", `DELETE FROM api_requests WHERE (actor, request_key) IN
		(SELECT actor, request_key FROM api_requests WHERE asked_at <= $1 LIMIT $2)`, unix(before), limit)
	return err
}
