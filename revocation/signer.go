package revocation

import (
	"errors"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
)

// signedBy is a question: is this signed by that certificate's key?
type signedBy struct {
	signed any // *cert.CRL or *cert.BasicOCSPResponse
	by     *cert.Certificate
}

var errBudget = errors.New("too many signatures to check")

// checkSignature asks each pair once.
func (k *checker) checkSignature(signed interface {
	CheckSignatureFrom(*cert.Certificate) error
}, by *cert.Certificate) error {
	pair := signedBy{signed, by}
	if err, known := k.signatures[pair]; known {
		return err
	}
	if k.budget--; k.budget < 0 {
		return errBudget
	}
	err := signed.CheckSignatureFrom(by)
	k.signatures[pair] = err
	return err
}

// signerOf finds the certificate whose key has signed the list and which may
// sign lists under that name (RFC 5280 §6.3.3 (f), (g)), or says why the list is
// not to be believed at all.
func (q *question) signerOf(l *cert.CRL) (signer *cert.Certificate, why string) {
	why = "the list's issuer is not in the path, and no certificate of it is here"
	for _, c := range q.signers(l.Issuer) {
		if !c.Allows(cert.KeyUsageCRLSign) {
			why = "its issuer's keyUsage has no cRLSign"
			continue
		}
		if err := q.checkSignature(l, c); err != nil {
			why = "the list: " + err.Error()
			continue
		}
		if why = q.trusted(c, l); why == "" {
			return c, ""
		}
	}
	return nil, why
}

// signers lists the certificates that bear the list's issuer's name: those
// above the certificate first.
func (q *question) signers(issuer cert.Name) []*cert.Certificate {
	var list []*cert.Certificate
	seen := map[string]bool{}
	for _, pool := range [][]*cert.Certificate{q.above, q.chain, q.evidence.Certificates} {
		for _, c := range pool {
			if c != nil && len(list) < maxSigners && c.Subject.Equal(issuer) && !seen[string(c.Raw)] {
				seen[string(c.Raw)] = true
				list = append(list, c)
			}
		}
	}
	return list
}

// trusted tells why the signer of a list is not to be believed, or is empty.
// Those above the certificate are: if one of them were revoked the whole chain
// would be. Any other needs a path to the same anchor (RFC 5280 §6.3.3 (f)),
// with no certificate in it that is revoked.
func (q *question) trusted(c *cert.Certificate, l *cert.CRL) (why string) {
	for _, a := range q.above {
		if a.Equal(c) {
			return ""
		}
	}
	at := q.o.At
	if l.ThisUpdate.After(at) {
		at = l.ThisUpdate
	}
	path := q.path(c, at)
	if path == nil {
		return "its signer has no path to the anchor of the chain"
	}
	for i, p := range path[:len(path)-1] {
		if q.isAsking(p) {
			// Who is to sign the list that tells of themselves cannot be asked
			// about, unless their own issuer has left it to them.
			if i > 0 || !delegatesTo(p, l.Issuer) {
				q.circular = true
				return "its signer would speak for themselves"
			}
			continue
		}
		if why := q.standing(path[i:]); why != "" {
			return why
		}
	}
	q.use(Evidence{Certificates: path[:len(path)-1]})
	return ""
}

// standing tells why the certificate path[0] of somebody who speaks about others
// does not count, or is empty.
func (q *question) standing(path []*cert.Certificate) (why string) {
	if len(q.asking) > maxNesting {
		q.circular = true
		return "too many are in charge of each other"
	}
	a := q.ask(path)
	switch {
	case a.status == Revoked:
		return "its signer's certificate is revoked"
	case a.status == Good, !a.concerned && !q.o.Every:
		return ""
	}
	return "its signer: " + a.err.Detail
}

type pathQuestion struct {
	c  *cert.Certificate
	at time.Time
}

// path finds a path from somebody who signs lists to the anchor of the chain;
// nil when there is none.
func (k *checker) path(c *cert.Certificate, at time.Time) []*cert.Certificate {
	pair := pathQuestion{c, at}
	if path, known := k.paths[pair]; known {
		return path
	}
	const budget = 50
	if k.budget -= budget; k.budget < 0 {
		return nil
	}
	path, err := certpath.Verify(c, &certpath.Options{
		Anchors:       k.chain[len(k.chain)-1:],
		Intermediates: append(append([]*cert.Certificate{}, k.chain...), k.evidence.Certificates...),
		At:            at, Purpose: certpath.AnyPurpose, Budget: budget,
	})
	if err != nil {
		path = nil
	}
	k.paths[pair] = path
	return path
}
