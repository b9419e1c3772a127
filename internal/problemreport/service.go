package problemreport

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/store"
)

// What a report may lack.
var (
	ErrProblem  = errors.New("problemreport: no such problem")
	ErrSerial   = errors.New("problemreport: not a serial number")
	ErrUnknown  = errors.New("problemreport: no certificate of ours has that serial number")
	ErrReporter = errors.New("problemreport: not a mail address")
	ErrText     = errors.New("problemreport: the text is missing or too long")
	ErrProof    = errors.New("problemreport: the proof cannot be used")
	ErrOtherKey = errors.New("problemreport: no valid certificate of ours has that key")

	// ErrNotFound: the operator's; ErrClosed: likewise, it is decided already.
	ErrNotFound = errors.New("problemreport: no such report")
	ErrClosed   = errors.New("problemreport: the report is closed")

	// ErrPlace: no page of the list ended there.
	ErrPlace = errors.New("problemreport: no page ended there")
)

// TooManyError tells that too many reports came.
type TooManyError struct {
	Retry time.Duration // when the next one is taken
}

// Error implements error.
func (e *TooManyError) Error() string { return "problemreport: too many reports" }

// Limits on reports.
const (
	MaxText      = 8000 // characters
	run          = time.Hour
	perClient    = 10  // without a proof, in a run, from one network address
	perEverybody = 200 // without a proof, in a run
	triesOfOne   = 30  // in a run, from one network address, whether or not anything comes of them
	maxPlace     = 100 // octets that say where a page ended
)

// Authority revokes.
type Authority interface {
	Revoke(ctx context.Context, serial *big.Int, reason cert.Reason) error
	Standing(ctx context.Context, serial *big.Int) (store.Standing, error)
}

// Options are what a [Service] needs.
type Options struct {
	Store     *store.DB
	Authority Authority
	Mails     *mailqueue.Queue // is told here how to make the mails of this room
	Site      string           // the public address
	Clock     func() time.Time
	Rand      io.Reader // nil: crypto/rand
	Log       *slog.Logger
}

// Service takes reports and keeps their time.
type Service struct{ o Options }

// New returns a Service.
func New(o Options) *Service {
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{o}
	if o.Mails != nil {
		o.Mails.Handle(operatorKind, mailqueue.Sort{Compose: s.operatorMail})
		o.Mails.Handle(answerKind, mailqueue.Sort{Compose: s.answerMail})
	}
	return s
}

// Report is what somebody has to say.
type Report struct {
	Problem  Problem
	Serial   string // hexadecimal, with colons and spaces as programs show it; may be empty
	Reporter string // a mail address for the answer; may be empty
	Text     string // may be empty beside a proof
	Proof    []byte // that the key is compromised, see [Service.Statement]; nil: none
	Language string // of whoever reports, "en" or "ja"
	Client   string // whatever is known of who sends it, or empty
}

// Filed is a report that is stored.
type Filed struct {
	ID       string
	Received time.Time
	AnswerBy time.Time
	DecideBy time.Time
	Revoked  []string // serial numbers, where a proof came along
}

// File takes a report. With a proof, every certificate of the key is revoked
// when File returns.
func (s *Service) File(ctx context.Context, r Report) (Filed, error) {
	if err := s.admit(ctx, r.Client); err != nil {
		return Filed{}, err
	}
	row, serials, err := s.row(ctx, r)
	if err != nil {
		return Filed{}, err
	}
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		if err := s.limit(tx, r.Client, row.Proven); err != nil {
			return err
		}
		if err := tx.InsertProblemReport(row); err != nil {
			return err
		}
		// Of a proven one they are told what became of it.
		if !row.Proven {
			if err := s.tell(tx, row.ID); err != nil {
				return err
			}
		}
		return audit.Append(ctx, tx, audit.Entry{At: row.Received, Actor: "report:" + row.ID, Act: store.ActReported, Object: row.ID, Details: map[string]string{
			"problem": row.Problem, "serial": number(row.Serial),
		}})
	})
	if err != nil {
		return Filed{}, err
	}
	s.o.Log.Info("problem reported", "report", row.ID, "problem", row.Problem, "serial", number(row.Serial), "proven", row.Proven)
	filed := Filed{ID: row.ID, Received: row.Received, AnswerBy: row.Received.Add(answerWithin), DecideBy: row.Received.Add(r.Problem.decide())}
	// From here on the report is ours, whether or not the connection lasts.
	ctx = context.WithoutCancel(ctx)
	if len(serials) > 0 {
		if filed.Revoked, err = s.revokeAll(ctx, row.ID, serials); err != nil {
			s.o.Log.Error("compromised key not revoked", "report", row.ID, "error", err)
			return Filed{}, err
		}
	}
	return filed, nil
}

// row checks a report and finds the certificates of a key that is proven.
func (s *Service) row(ctx context.Context, r Report) (row store.ProblemReport, serials [][]byte, err error) {
	row = store.ProblemReport{Received: s.now(), Problem: string(r.Problem), Language: language(r.Language), Text: strings.TrimSpace(r.Text)}
	if !r.Problem.Known() || r.Proof != nil && r.Problem != KeyCompromise {
		return row, nil, fmt.Errorf("%w: %q", ErrProblem, r.Problem)
	}
	if r.Reporter = strings.TrimSpace(r.Reporter); r.Reporter != "" {
		m, err := mailbox.Parse(r.Reporter)
		if err != nil {
			return row, nil, fmt.Errorf("%w: %w", ErrReporter, err)
		}
		row.Reporter = m.String()
	}
	if n := utf8.RuneCountInString(row.Text); !printable(row.Text) || n > MaxText || n == 0 && r.Proof == nil {
		return row, nil, ErrText
	}
	if row.Serial, err = s.serial(ctx, r.Serial); err != nil {
		return row, nil, err
	}
	if r.Proof != nil {
		if serials, err = s.compromised(ctx, r.Proof); err != nil {
			return row, nil, err
		}
		row.Proven, row.Serial = true, serials[0]
	}
	row.ID, err = s.newID()
	return row, serials, err
}

// printable refuses what would act on a terminal or in a mail.
func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(c rune) bool {
		return unicode.IsControl(c) && c != '\n' && c != '\r' && c != '\t'
	})
}

// maxSerialText is the longest serial number with separators, in characters.
const maxSerialText = 100

// serial reads the number as programs show it, and looks whether it is one of
// ours.
func (s *Service) serial(ctx context.Context, text string) ([]byte, error) {
	text = strings.NewReplacer(":", "", " ", "", "\u00a0", "", "-", "").Replace(strings.TrimSpace(text))
	text = strings.TrimPrefix(strings.TrimPrefix(text, "0x"), "0X")
	if text == "" {
		return nil, nil
	}
	n, ok := new(big.Int).SetString(text, 16)
	if !ok || n.Sign() <= 0 || len(text) > maxSerialText {
		return nil, ErrSerial
	}
	_, err := s.o.Authority.Standing(ctx, n)
	if errors.Is(err, authority.ErrUnknown) {
		return nil, ErrUnknown
	}
	return n.Bytes(), err
}

func (s *Service) compromised(ctx context.Context, proof []byte) (serials [][]byte, err error) {
	key, err := s.provenKey(proof)
	if err != nil {
		return nil, err
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		serials, err = tx.CertificatesOfKey(key, s.now())
		return err
	})
	if err == nil && len(serials) == 0 {
		err = ErrOtherKey
	}
	return serials, err
}

// revokeAll revokes every certificate of a key that its holder gave away, and
// closes the report if all are.
func (s *Service) revokeAll(ctx context.Context, id string, serials [][]byte) (revoked []string, err error) {
	ctx = audit.WithActor(ctx, "report:"+id)
	if revoked, err = s.revoke(ctx, serials); err != nil {
		return revoked, err
	}
	return revoked, s.close(ctx, id, "revoked")
}

// revoke revokes certificates. One that cannot be revoked keeps no other from it.
func (s *Service) revoke(ctx context.Context, serials [][]byte) (revoked []string, failed error) {
	for _, serial := range serials {
		err := s.o.Authority.Revoke(ctx, new(big.Int).SetBytes(serial), cert.KeyCompromise)
		if err != nil && !errors.Is(err, authority.ErrUnknown) { // unknown: somebody was faster
			failed = errors.Join(failed, fmt.Errorf("revoke certificate %s: %w", number(serial), err))
			continue
		}
		revoked = append(revoked, number(serial))
	}
	return revoked, failed
}

func (s *Service) close(ctx context.Context, id, outcome string) error {
	err := s.o.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.CloseReport(id, outcome, s.now()); err != nil {
			return err
		}
		r, err := tx.ProblemReport(id)
		if err != nil {
			return err
		}
		if r.Proven && r.Mailed.IsZero() {
			if err := s.tell(tx, id); err != nil {
				return err
			}
		}
		return audit.Append(ctx, tx, audit.Entry{At: s.now(), Act: store.ActReportClosed, Object: id, Details: map[string]string{"outcome": outcome}})
	})
	if errors.Is(err, store.ErrConflict) {
		return ErrClosed
	}
	return err
}

// admit counts that somebody comes with a report, before anything is looked up or
// verified for them.
func (s *Service) admit(ctx context.Context, client string) error {
	if client == "" {
		return nil
	}
	return s.o.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.ForgetEvents(s.now().Add(-run)); err != nil {
			return err
		}
		return s.count(tx, "tries at problem reports of "+client, triesOfOne)
	})
}

// limit counts the report, unless there were too many in the last [run]. One
// that is proven is always taken: there are no more of them than keys of ours.
func (s *Service) limit(tx *store.Tx, client string, proven bool) error {
	if proven {
		return nil
	}
	if client != "" {
		if err := s.count(tx, "problem reports of "+client, perClient); err != nil {
			return err
		}
	}
	return s.count(tx, "problem reports", perEverybody)
}

// count adds one event under key, unless there were most in the last [run].
func (s *Service) count(tx *store.Tx, key string, most int) error {
	now := s.now()
	hash := sha256.Sum256([]byte(key))
	n, first, err := tx.CountEvents(hash[:], now.Add(-run))
	if err != nil {
		return err
	}
	if n >= most {
		return &TooManyError{Retry: max(first.Add(run).Sub(now), time.Second)}
	}
	id, err := s.newID()
	if err != nil {
		return err
	}
	return tx.AddEvent(id, hash[:], now)
}

func (s *Service) newID() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(s.o.Rand, b[:]); err != nil {
		return "", fmt.Errorf("randomness: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

func (s *Service) now() time.Time { return s.o.Clock().UTC().Truncate(time.Second) }

// language: what is not known is English.
func language(tag string) string {
	if tag == "ja" {
		return "ja"
	}
	return "en"
}

// number is a serial number as it is shown everywhere; empty for none.
func number(serial []byte) string {
	if serial == nil {
		return ""
	}
	return new(big.Int).SetBytes(serial).Text(16)
}
