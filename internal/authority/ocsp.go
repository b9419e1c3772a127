package authority

import (
	"context"
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/store"
)

// Lives of OCSP responses. S/MIME BR §4.9.10: 8 hours to 10 days, and a new one
// at the latest 8 hours before the end of the last; root programs want less
// than 7 days.
const (
	ocspLife  = 4 * 24 * time.Hour
	ocspFresh = 24 * time.Hour
	// ocspSlack is how far behind its time the signing ahead may be before a
	// response is signed when it is asked for.
	ocspSlack = 12 * time.Hour
)

// OCSPResponse is an answer as it is served.
type OCSPResponse struct {
	DER        []byte
	ThisUpdate time.Time
	NextUpdate time.Time // zero: nobody may keep the answer
	Until      time.Time // here it is served until then, unless something changes
}

// ocspAnswer is what of a question decides the answer.
type ocspAnswer struct {
	authority string // the row's identifier
	serial    string
	hash      oid.OID // of the CertID
	bare      bool    // without parameters: clients compare octets
}

// certIDHashes are those that a CertID is answered for. What is signed ahead is
// for the first, which nearly all clients use; RFC 5019 §2.1.1 knew no other.
var certIDHashes = []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512}

// OCSP answers a request (RFC 6960 §2.1): from memory, else from what was signed
// ahead, else by a signature of its own. No request makes it fail; what goes
// wrong inside is an answer too, and for the log.
func (a *Authority) OCSP(ctx context.Context, request []byte) *OCSPResponse {
	q, err := cert.ParseOCSPRequest(request)
	if err != nil || unknownCritical(q.Extensions) {
		return ocspError(cert.OCSPMalformedRequest)
	}
	m, ok := a.responsible(q.CertIDs)
	if !ok {
		// RFC 5019 §2.2.3: a responder that has nothing to say about it.
		return ocspError(cert.OCSPUnauthorized)
	}
	var r *OCSPResponse
	if len(q.CertIDs) == 1 && q.Nonce == nil {
		r, err = a.ocspOne(ctx, m, q.CertIDs[0])
	} else {
		r, err = a.ocspNow(ctx, m, q)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		// S/MIME BR §4.9.10: never "good" for what was not issued.
		return ocspError(cert.OCSPUnauthorized)
	case err != nil:
		if ctx.Err() == nil {
			a.o.Log.Error("OCSP request not answered", "authority", m.name, "error", err)
		}
		return ocspError(cert.OCSPTryLater)
	}
	return r
}

func ocspError(s cert.OCSPStatus) *OCSPResponse {
	return &OCSPResponse{DER: issuance.OCSPError(s)}
}

// unknownCritical: the nonce is the one extension that changes an answer.
func unknownCritical(list []cert.Extension) bool {
	for _, e := range list {
		if e.Critical && e.ID != oid.OCSPNonce {
			return true
		}
	}
	return false
}

// responsible finds the authority that issued all the certificates: a delegated
// key answers for one alone.
func (a *Authority) responsible(ids []cert.CertID) (*Member, bool) {
	var m *Member
	for _, id := range ids {
		one, ok := a.state().answering[issuerOf(id)]
		if !ok || m != nil && one != m {
			return nil, false
		}
		m = one
	}
	return m, m != nil
}

// issuerOf is the part of a CertID that names the issuer.
func issuerOf(id cert.CertID) string {
	return string(id.HashAlgorithm.Algorithm) + "\x00" + string(id.IssuerNameHash) + string(id.IssuerKeyHash)
}

// answersFor notes that OCSP requests about what m issues are answered here.
func (h *hierarchy) answersFor(m *Member) error {
	if m.Root() || m.Offline() {
		return nil
	}
	for _, hash := range certIDHashes {
		id, err := cert.NewCertID(&cert.Certificate{RawIssuer: m.certificate.RawSubject}, m.certificate, hash)
		if err != nil {
			return err
		}
		h.answering[issuerOf(id)] = m
	}
	return nil
}

// ocspOne answers for one certificate, without a nonce.
func (a *Authority) ocspOne(ctx context.Context, m *Member, id cert.CertID) (*OCSPResponse, error) {
	if id.Serial.Sign() <= 0 {
		return nil, store.ErrNotFound
	}
	about := ocspAnswer{m.id, string(id.Serial.Bytes()), id.HashAlgorithm.Algorithm, id.HashAlgorithm.Parameters == nil}
	now := a.o.Clock()
	if r := a.answers.get(about, now); r != nil {
		return r, nil
	}
	ahead := about.hash == oid.SHA1 && !about.bare
	var seq int64
	var signed store.OCSPResponse
	var standing store.Standing
	err := a.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		if seq, err = tx.LastStatusChange(); err != nil {
			return err
		}
		if standing, err = tx.Standing(m.id, id.Serial.Bytes()); err != nil || !ahead {
			return err
		}
		signed, err = tx.OCSPResponse(m.id, id.Serial.Bytes())
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if signed.DER == nil || now.After(until(signed.ThisUpdate)) {
		if signed, err = a.signOCSP(ctx, m, []cert.CertID{id}, []store.Standing{standing}, nil); err != nil {
			return nil, err
		}
		if ahead {
			a.keepOCSP(ctx, m, signed, standing)
		}
	}
	r := &OCSPResponse{signed.DER, signed.ThisUpdate, signed.NextUpdate, until(signed.ThisUpdate)}
	a.answers.put(about, r, seq)
	return r, nil
}

// until is how long a response is served before another one must be there.
func until(thisUpdate time.Time) time.Time { return thisUpdate.Add(ocspFresh + ocspSlack) }

// keepOCSP stores what had to be signed at once; it was just asked for and may
// be again.
func (a *Authority) keepOCSP(ctx context.Context, m *Member, r store.OCSPResponse, told store.Standing) {
	err := a.o.Store.Update(ctx, func(tx *store.Tx) error { return tx.StoreOCSP(r, told, r.ThisUpdate.Add(ocspFresh)) })
	if err != nil && !errors.Is(err, store.ErrConflict) && ctx.Err() == nil {
		a.o.Log.Warn("OCSP response not stored", "authority", m.name, "error", err)
	}
}

// ocspNow signs an answer for this request alone: it has a nonce, or asks about
// several certificates.
func (a *Authority) ocspNow(ctx context.Context, m *Member, q *cert.OCSPRequest) (*OCSPResponse, error) {
	standings, known := make([]store.Standing, len(q.CertIDs)), 0
	err := a.o.Store.View(ctx, func(tx *store.Tx) error {
		for i, id := range q.CertIDs {
			if id.Serial.Sign() <= 0 {
				continue
			}
			s, err := tx.Standing(m.id, id.Serial.Bytes())
			switch {
			case err == nil:
				standings[i] = s
				known++
			case !errors.Is(err, store.ErrNotFound):
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if known == 0 {
		return nil, store.ErrNotFound
	}
	signed, err := a.signOCSP(ctx, m, q.CertIDs, standings, q.Nonce)
	if err != nil {
		return nil, err
	}
	r := &OCSPResponse{DER: signed.DER, ThisUpdate: signed.ThisUpdate}
	if q.Nonce == nil {
		r.NextUpdate = signed.NextUpdate
	}
	return r, nil
}

// signOCSP signs a response about certificates. One without a standing was never
// issued and is unknown.
func (a *Authority) signOCSP(ctx context.Context, m *Member, ids []cert.CertID, standings []store.Standing, nonce []byte) (store.OCSPResponse, error) {
	responder, err := a.responder(ctx, m)
	if err != nil {
		return store.OCSPResponse{}, err
	}
	now := a.now()
	next := now.Add(ocspLife)
	if end := responder.Certificate().NotAfter; next.After(end) {
		next = end
	}
	answers := issuance.Answers{Produced: now, ThisUpdate: now, NextUpdate: next, Nonce: nonce}
	for i, s := range standings {
		answer := issuance.Standing{CertID: ids[i], Status: cert.OCSPGood}
		switch {
		case s.Serial == nil:
			answer.Status = cert.OCSPUnknown
		case !s.Revoked.IsZero():
			answer.Status, answer.RevokedAt, answer.Reason = cert.OCSPRevoked, s.Revoked, cert.Reason(s.RevokedFor)
		}
		answers.Standings = append(answers.Standings, answer)
	}
	der, err := responder.Respond(answers)
	if err != nil {
		return store.OCSPResponse{}, err
	}
	return store.OCSPResponse{AuthorityID: m.id, Serial: standings[0].Serial, ThisUpdate: now, NextUpdate: next, DER: der}, nil
}

// responder returns what signs OCSP responses for m. The key is replaced in
// time, so that no response outlives its certificate.
func (a *Authority) responder(ctx context.Context, m *Member) (*issuance.Responder, error) {
	m.ocsp.mutex.Lock()
	defer m.ocsp.mutex.Unlock()
	if r := m.ocsp.responder; r != nil && r.Certificate().NotAfter.After(a.now().AddDate(0, 0, a.renewal(m, ocspService))) {
		return r, nil
	}
	d, err := a.delegate(ctx, m, ocspService)
	if err != nil {
		return nil, err
	}
	r, err := issuance.NewResponder(m.certificate, d.certificate, d.key)
	if err != nil {
		return nil, err
	}
	m.ocsp.responder = r
	return r, nil
}

// ocspSigner is an authority's delegated key in this process.
type ocspSigner struct {
	mutex     sync.Mutex
	responder *issuance.Responder
}

// presignBatch is how many responses are signed between two looks at the store.
const presignBatch = 200

// firstOCSP is when a response about a new certificate is signed ahead, unless
// somebody asks before: at a moment of its first day that its serial number
// chooses. From then on a response is signed each day, so that many certificates
// of one hour do not come due in one hour of every day, and issuing does not
// compete with it.
func firstOCSP(serial []byte, now time.Time) time.Time {
	if len(serial) < 2 {
		return now
	}
	part := binary.BigEndian.Uint16(serial[len(serial)-2:])
	return now.Add(ocspFresh * time.Duration(part) >> 16)
}

// claimLife is how long a node may take for a batch before another one does it.
const claimLife = 10 * time.Minute

// presign signs the responses of m that are due, one batch; more tells that
// there may be others.
func (a *Authority) presign(ctx context.Context, m *Member) (more bool, err error) {
	var due []store.Standing
	now := a.now()
	err = a.o.Store.Update(ctx, func(tx *store.Tx) (err error) {
		due, err = tx.ClaimOCSP(m.id, now, now.Add(claimLife), presignBatch)
		return err
	})
	if err != nil || len(due) == 0 {
		return false, err
	}
	signed := make([]store.OCSPResponse, len(due))
	for i, s := range due {
		id, err := m.certID(s.Serial)
		if err != nil {
			return false, err
		}
		if signed[i], err = a.signOCSP(ctx, m, []cert.CertID{id}, due[i:i+1], nil); err != nil {
			return false, err
		}
	}
	err = a.o.Store.Update(ctx, func(tx *store.Tx) error {
		for i, r := range signed {
			// One that was revoked meanwhile is due again already.
			if err := tx.StoreOCSP(r, due[i], r.ThisUpdate.Add(ocspFresh)); err != nil && !errors.Is(err, store.ErrConflict) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("store OCSP responses: %w", err)
	}
	return len(due) == presignBatch, nil
}
