package problemreport

import (
	"fmt"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// The kinds of mails of this room. They are about reports.
const (
	operatorKind = "problem report"
	answerKind   = "problem report answer"
)

// tell writes down that all administrators are to get the report, each in a mail
// of their own, so that none of them depends on another one's mailbox. Where
// there is none yet, it is left to be done later.
func (s *Service) tell(tx *store.Tx, id string) error {
	addresses, err := tx.AdministratorEmails()
	if err != nil || len(addresses) == 0 {
		return err
	}
	for _, address := range addresses {
		to, err := mailbox.Parse(address)
		if err != nil {
			s.o.Log.Error("an administrator's address takes no mail", "report", id, "error", err)
			continue
		}
		if _, err := s.o.Mails.Enqueue(tx, mailqueue.Letter{Kind: operatorKind, About: id, Key: id + " " + to.Key(), To: to}); err != nil {
			return err
		}
	}
	return tx.ReportMailed(id, s.now())
}

// operatorMail tells an administrator of a report, as it stands by then.
func (s *Service) operatorMail(tx *store.Tx, m mailqueue.Leaving) (validation.Mail, error) {
	r, err := tx.ProblemReport(m.About)
	if err != nil {
		return validation.Mail{}, err
	}
	row := s.public(r)
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("Somebody reported a problem with a certificate.\n")
	line("Problem:   %s", r.Problem)
	line("Serial:    %s", orNone(row.Serial))
	line("Reporter:  %s", orNone(r.Reporter))
	line("Received:  %s", stamp(r.Received))
	switch {
	case r.Proven:
		if err := s.revocations(tx, r, line); err != nil {
			return validation.Mail{}, err
		}
	case r.Outcome == "revoked":
		line("\nThe certificate has been revoked since.")
	case !r.Closed.IsZero():
		line("\nThe report has been closed since.")
	default:
		line("Answer by: %s", stamp(row.AnswerBy))
		line("Decide by: %s", stamp(row.DecideBy))
	}
	line("\nReports are at %s/admin/reports", s.o.Site)
	if r.Text != "" {
		line("\nWhat they wrote follows; it is not to be believed unseen.\n")
		for text := range strings.SplitSeq(strings.ReplaceAll(r.Text, "\r", ""), "\n") {
			line("> %s", text)
		}
	}
	return validation.Mail{To: m.Address, Subject: "Certificate problem report: " + r.Problem, Text: b.String(), Language: "en"}, nil
}

// revocations tells what became of the certificates of a key that was proven to
// be in other hands.
func (s *Service) revocations(tx *store.Tx, r store.ProblemReport, line func(string, ...any)) error {
	states, err := tx.CertificatesLikeSerial(r.Serial, s.now())
	if err != nil {
		return err
	}
	line("\nThe private key was proven to be in other hands. Revoked at once:")
	open := 0
	for _, c := range states {
		if c.Revoked.IsZero() {
			open++
			continue
		}
		line("  %s", number(c.Serial))
	}
	if open == 0 {
		return nil
	}
	line("\nNOT REVOKED YET, and tried again every minute; the server's log says why:")
	for _, c := range states {
		if c.Revoked.IsZero() {
			line("  %s", number(c.Serial))
		}
	}
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "none given"
	}
	return s
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// answer writes down that whoever reported is to get an answer.
func (s *Service) answer(tx *store.Tx, r store.ProblemReport, text string) error {
	if r.Reporter == "" {
		return nil
	}
	to, err := mailbox.Parse(r.Reporter)
	if err != nil {
		return err
	}
	_, err = s.o.Mails.Enqueue(tx, mailqueue.Letter{Kind: answerKind, About: r.ID, To: to, Data: []byte(text)})
	return err
}

func (s *Service) answerMail(tx *store.Tx, m mailqueue.Leaving) (validation.Mail, error) {
	r, err := tx.ProblemReport(m.About)
	if err != nil {
		return validation.Mail{}, err
	}
	subject := "Your report about a certificate"
	if r.Language == "ja" {
		subject = "証明書に関するご報告への回答"
	}
	return validation.Mail{To: m.Address, Subject: subject, Text: string(m.Data) + "\n", Language: r.Language}, nil
}
