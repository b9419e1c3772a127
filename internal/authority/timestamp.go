package authority

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/store"
)

const (
	// timestampAccuracy is said in every timestamp, and how far the clock may
	// stand before the last one without having gone back.
	timestampAccuracy = time.Second
	// clockNoted is how often the store learns how far the clock has come. That
	// much a restart may forget.
	clockNoted = 10 * time.Second
	// MaxTimestampRequest is the longest request that is read, in octets: a
	// digest, a policy and a nonce.
	MaxTimestampRequest = 4 << 10
)

// timestamper is what signs timestamps in this process.
type timestamper struct {
	mutex       sync.Mutex
	authority   *cms.TimestampAuthority
	certificate *cert.Certificate
	reached     time.Time // by the clock
	noted       time.Time // of that, in the store
}

// errClock: the clock stands before a time that was stamped already.
var errClock = errors.New("the clock went back")

// Timestamp answers a TimeStampReq (RFC 3161 §2.4). Like OCSP it always has an
// answer; what goes wrong inside is for the log.
func (a *Authority) Timestamp(ctx context.Context, request []byte) ([]byte, error) {
	answer, err := a.timestamp(ctx, request)
	switch {
	case err == nil:
		return answer, nil
	case ctx.Err() == nil:
		a.o.Log.Error("timestamp not given", "error", err)
	}
	if errors.Is(err, errClock) {
		return cms.NoTime()
	}
	return cms.SystemFailure()
}

func (a *Authority) timestamp(ctx context.Context, request []byte) ([]byte, error) {
	signer, err := a.timestampSigner(ctx)
	if err != nil {
		return nil, err
	}
	at, err := a.timestampTime(ctx)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial(a.o.Rand)
	if err != nil {
		return nil, err
	}
	return signer.Respond(request, serial, at)
}

// timestampTime is the time now, unless a later one was stamped before: here,
// before a restart, or on another node.
func (a *Authority) timestampTime(ctx context.Context) (time.Time, error) {
	now := a.o.Clock().UTC()
	t := &a.timestamps
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if now.Before(t.reached.Add(-timestampAccuracy)) {
		return now, fmt.Errorf("%w: it is %v and was %v", errClock, now, t.reached)
	}
	if now.Sub(t.noted) >= clockNoted {
		var stored time.Time
		err := a.o.Store.Update(ctx, func(tx *store.Tx) (err error) {
			if stored, err = tx.TimestampClock(); err != nil || stored.After(now) {
				return err
			}
			return tx.SetTimestampClock(now)
		})
		if err != nil {
			return now, fmt.Errorf("note the time: %w", err)
		}
		if now.Before(stored.Add(-timestampAccuracy)) {
			return now, fmt.Errorf("%w: it is %v and was %v", errClock, now, stored)
		}
		t.noted = now
	}
	if now.After(t.reached) {
		t.reached = now
	}
	return now, nil
}

// timestampSigner returns what signs timestamps, with a certificate that is
// valid for another year.
func (a *Authority) timestampSigner(ctx context.Context) (*cms.TimestampAuthority, error) {
	t := &a.timestamps
	t.mutex.Lock()
	defer t.mutex.Unlock()
	m, err := a.timestampAuthority()
	if err != nil {
		return nil, err
	}
	if t.authority != nil && t.certificate.NotAfter.After(a.now().AddDate(0, 0, a.renewal(m, timestampService))) {
		return t.authority, nil
	}
	d, err := a.delegate(ctx, m, timestampService)
	if err != nil {
		return nil, err
	}
	signer := &cms.Signer{Key: d.key, Certificate: d.certificate}
	if !m.Root() {
		signer.Chain = []*cert.Certificate{m.certificate}
	}
	t.certificate = d.certificate
	t.authority = &cms.TimestampAuthority{Signer: signer, Policy: a.timestampPolicy(), Accuracy: timestampAccuracy, Rand: a.o.Rand}
	return t.authority, nil
}

// timestampAuthority is the authority that certifies the signer: the one that
// was made for it, else the root itself, where its key is here. The others
// certify mail alone, and what an authority is for binds those below it.
func (a *Authority) timestampAuthority() (*Member, error) {
	m, err := a.find(func(m *Member) bool {
		return m.Active() && !m.Offline() && slices.Contains(m.row.Types, string(issuance.TimestampSigner))
	})
	if errors.Is(err, ErrUnknown) {
		m, err = a.find(func(m *Member) bool { return m.Root() && m.Active() && !m.Offline() })
	}
	if errors.Is(err, ErrUnknown) {
		return nil, fmt.Errorf("%w: make an authority of type %s", ErrOffline, issuance.TimestampSigner)
	}
	return m, err
}

// timestampPolicy is under the operator's arc, beside those of the certificates,
// whose types are 1 to 4.
func (a *Authority) timestampPolicy() oid.OID { return a.arc + ".5.1" }
