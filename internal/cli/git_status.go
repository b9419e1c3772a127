package cli

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/inspect"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/smime"
)

// statusLines are what GnuPG's programs say to the programs that call them
// (doc/DETAILS of GnuPG): one keyword and its arguments in each line.
type statusLines struct{ w io.Writer }

func (l statusLines) write(keyword string, args ...string) error {
	_, err := fmt.Fprintf(l.w, "[GNUPG:] %s\n", inspect.Visible(strings.TrimRight(keyword+" "+strings.Join(args, " "), " ")))
	return err
}

// created says that a detached signature was made.
func (l statusLines) created(r *cms.SignerResult) error {
	return l.write("SIG_CREATED", "D", algorithmNumbers(r), "00", compact(r.SigningTime), keyName(r))
}

// verified says what was found about one signature. Git takes a signature for good
// that is GOODSIG and of which no TRUST_NEVER is said; the exit status says no to
// all that is not valid, whatever stands here.
func (l statusLines) verified(s *smime.Signer, r *cms.SignerResult) error {
	// Git looks for GOODSIG at the beginning of a line that is not the first.
	if err := l.write("NEWSIG"); err != nil {
		return err
	}
	good, trust := "", ""
	switch s.Status {
	case smime.StatusValid:
		good, trust = "GOODSIG", "TRUST_FULLY"
	case smime.StatusUntrusted:
		good, trust = "GOODSIG", "TRUST_NEVER"
	case smime.StatusRevocationUnknown:
		good, trust = "GOODSIG", "TRUST_UNDEFINED"
	case smime.StatusExpired:
		good, trust = "EXPKEYSIG", "TRUST_NEVER"
	case smime.StatusRevoked:
		good, trust = "REVKEYSIG", "TRUST_NEVER"
	case smime.StatusWeak:
		return l.unverifiable(r, errorDigest)
	case smime.StatusUnsupported:
		return l.unverifiable(r, errorAlgorithm)
	default:
		return l.write("BADSIG", keyName(r), s.Subject)
	}
	if r.Certificate == nil {
		return errors.Join(l.unverifiable(r, errorNoKey), l.write("NO_PUBKEY", keyName(r)))
	}
	return errors.Join(
		l.write(good, keyName(r), s.Subject),
		l.write("VALIDSIG", keyName(r), day(r.SigningTime), compact(r.SigningTime), compact(r.Certificate.NotAfter), "0", "0", algorithmNumbers(r), "00"),
		l.write(trust, "0", "shell"),
	)
}

// The reasons of ERRSIG, numbers of libgpg-error.
const (
	errorAlgorithm = "4"
	errorDigest    = "5"
	errorNoKey     = "9"
)

func (l statusLines) unverifiable(r *cms.SignerResult, why string) error {
	return l.write("ERRSIG", keyName(r), algorithmNumbers(r), "00", compact(r.SigningTime), why)
}

// keyName is the fingerprint of the certificate; SHA-256, as everywhere here, where
// gpgsm has SHA-1.
func keyName(r *cms.SignerResult) string {
	if r.Certificate == nil {
		return "0"
	}
	return strings.ToUpper(r.Certificate.SHA256())
}

// algorithmNumbers are what GnuPG calls key and digest; 0 is one that it has no
// number for.
func algorithmNumbers(r *cms.SignerResult) string {
	key, digest := 0, 0
	if r.Certificate != nil {
		switch r.Certificate.PublicKey.(type) {
		case *rsa.PublicKey:
			key = 1
		case *ecdsa.PublicKey:
			key = 19
		case ed25519.PublicKey:
			key = 22
		}
	}
	switch r.DigestAlgorithm.Algorithm {
	case oid.SHA1:
		digest = 2
	case oid.SHA256:
		digest = 8
	case oid.SHA384:
		digest = 9
	case oid.SHA512:
		digest = 10
	case oid.SHA224:
		digest = 11
	}
	return fmt.Sprintf("%d %d", key, digest)
}

// day and compact write a time as gpgsm does, 0 when there is none.
func day(t time.Time) string { return formatOr0(t, "2006-01-02") }

func compact(t time.Time) string { return formatOr0(t, "20060102T150405") }

func formatOr0(t time.Time, layout string) string {
	if t.IsZero() {
		return "0"
	}
	return t.UTC().Format(layout)
}
