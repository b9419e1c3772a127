package fetch

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/revocation"
)

// nonceLength: RFC 9654 §2.1.
const nonceLength = 32

// askResponders asks the responders that the certificate names.
func (t *task) askResponders() bool {
	for i, source := range t.c.OCSPServer {
		if i == MaxSources {
			t.fail(source, fmt.Errorf("more than %d sources", MaxSources))
			break
		}
		if t.askResponder(source) {
			return true
		}
	}
	return false
}

// question is one way to ask a responder.
type question struct {
	hash  crypto.Hash // of the CertID
	nonce bool        // with POST; without, GET, which a server that has its answers ready takes
}

// askResponder asks in the way that most responders understand, and in others
// where that has failed for a reason that may lie in the way.
func (t *task) askResponder(source string) bool {
	first := question{crypto.SHA1, true}
	err := t.askOnce(source, first)
	for _, next := range []question{{crypto.SHA1, false}, {crypto.SHA256, true}} {
		if err == nil || !errors.Is(err, errOtherWay) {
			break
		}
		err = t.askOnce(source, next)
	}
	if err != nil {
		t.fail(source, err)
	}
	return err == nil
}

// errOtherWay is wrapped when it makes sense to ask in another way.
var errOtherWay = errors.New("no answer")

func (t *task) askOnce(source string, way question) error {
	id, err := cert.NewCertID(t.c, t.issuer, way.hash)
	if err != nil {
		return err
	}
	q := &cert.OCSPRequest{CertIDs: []cert.CertID{id}}
	if way.nonce {
		q.Nonce = make([]byte, nonceLength)
		if _, err := io.ReadFull(t.o.Rand, q.Nonce); err != nil {
			return fmt.Errorf("make a nonce: %w", err)
		}
	}
	der, err := q.DER()
	if err != nil {
		return err
	}
	var data []byte
	if way.nonce {
		data, err = t.get(source, string(der), "application/ocsp-request", cert.MaxOCSPResponseSize)
	} else {
		data, err = t.get(getURL(source, der), "", "", cert.MaxOCSPResponseSize)
	}
	var status errStatus
	if errors.As(err, &status) {
		return fmt.Errorf("%w: %w", errOtherWay, status)
	}
	if err != nil {
		return err
	}
	return t.takeResponse(source, data, q.Nonce)
}

// getURL: RFC 6960 Appendix A.1.
func getURL(source string, request []byte) string {
	return strings.TrimSuffix(source, "/") + "/" + url.QueryEscape(base64.StdEncoding.EncodeToString(request))
}

// takeResponse takes what a responder has sent.
func (t *task) takeResponse(source string, data, nonce []byte) error {
	r, err := cert.ParseOCSPResponse(data)
	switch {
	case err != nil:
		return err
	case r.Status == cert.OCSPTryLater || r.Status == cert.OCSPInternalError:
		return fmt.Errorf("the responder says %s", r.Status)
	case r.Status != cert.OCSPSuccessful:
		return fmt.Errorf("%w: the responder says %s", errOtherWay, r.Status)
	case r.Basic == nil:
		return fmt.Errorf("an answer of type %s", r.Type.Name())
	case nonce != nil && r.Basic.Nonce != nil && !bytes.Equal(nonce, r.Basic.Nonce):
		// RFC 9654 §2.1. A responder that has its answers ready sends none, and
		// their dates have to do.
		return errors.New("the answer is to another request: its nonce is not ours")
	}
	e := revocation.Evidence{Responses: []*cert.OCSPResponse{r}}
	t.got.Responses = append(t.got.Responses, r)
	if t.answers(e) {
		t.kept = append(t.kept, kept{responseKey(source, t.c, t.issuer), data, untilResponse(r)})
		return nil
	}
	for i := range r.Basic.Answers {
		if r.Basic.Answers[i].CertID.Matches(t.c, t.issuer) {
			return errors.New("its answer settles nothing")
		}
	}
	return fmt.Errorf("%w about this certificate", errOtherWay)
}

// untilResponse is the earliest nextUpdate; zero when there is none.
func untilResponse(r *cert.OCSPResponse) (until time.Time) {
	for _, a := range r.Basic.Answers {
		if a.NextUpdate.IsZero() {
			return time.Time{}
		}
		if until.IsZero() || a.NextUpdate.Before(until) {
			until = a.NextUpdate
		}
	}
	return until
}
