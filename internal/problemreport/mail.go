package problemreport

import (
	"fmt"
	"strings"
	"sync"
	"text/template"
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

// tell writes down that all operators are to get the report, each in a mail
// of their own, so that none of them depends on another one's mailbox. Where
// there is none yet, it is left to be done later.
func (s *Service) tell(tx *store.Tx, id string) error {
	addresses, err := tx.OperatorEmails()
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

// operatorMail tells an administrator of a report, as it stands by then, in both
// languages: nobody has asked which one they read.
func (s *Service) operatorMail(tx *store.Tx, m mailqueue.Leaving) (validation.Mail, error) {
	r, err := tx.ProblemReport(m.About)
	if err != nil {
		return validation.Mail{}, err
	}
	l := letter{Report: r, Row: s.public(r), Site: s.o.Site}
	if r.Proven {
		certificates, err := tx.CertificatesLikeSerial(r.Serial, s.now())
		if err != nil {
			return validation.Mail{}, err
		}
		for _, c := range certificates {
			if c.Revoked.IsZero() {
				l.Standing = append(l.Standing, number(c.Serial))
			} else {
				l.Revoked = append(l.Revoked, number(c.Serial))
			}
		}
	}
	var text strings.Builder
	for _, t := range operatorTexts() {
		if err := t.Execute(&text, l); err != nil {
			return validation.Mail{}, err
		}
	}
	l.quote(&text)
	return validation.Mail{To: m.Address, Subject: operatorSubject + r.Problem, Text: text.String(), Language: "en"}, nil
}

const operatorSubject = "Certificate problem report / 証明書の問題の報告: "

// letter is what a mail to an administrator speaks of.
type letter struct {
	Report            store.ProblemReport
	Row               Row
	Site              string
	Revoked, Standing []string // serial numbers of a key that was proven to be in other hands
}

// Closed tells that there is nothing to decide any more.
func (l letter) Closed() bool { return !l.Report.Closed.IsZero() }

// quote adds what whoever reported wrote.
func (l letter) quote(text *strings.Builder) {
	if l.Report.Text == "" {
		return
	}
	text.WriteString("\nWhat they wrote follows; it is not to be believed unseen.\n報告者の文章です。内容は未確認です。\n\n")
	for line := range strings.SplitSeq(strings.ReplaceAll(l.Report.Text, "\r", ""), "\n") {
		fmt.Fprintf(text, "> %s\n", line)
	}
}

var operatorTexts = sync.OnceValue(func() []*template.Template {
	return []*template.Template{
		template.Must(template.New("en").Funcs(template.FuncMap{"stamp": stamp}).Parse(
			`Somebody reported a problem with a certificate.

Problem:   {{.Report.Problem}}
Serial:    {{or .Row.Serial "none given"}}
Reporter:  {{or .Report.Reporter "none given"}}
Received:  {{stamp .Report.Received}}
{{- if .Report.Proven}}

The private key was proven to be in other hands. Revoked at once:
{{- range .Revoked}}
  {{.}}
{{- end}}
{{- if .Standing}}

NOT REVOKED YET, and tried again every minute; the server's log says why:
{{- range .Standing}}
  {{.}}
{{- end}}
{{- end}}
{{- else if eq .Report.Outcome "revoked"}}

The certificate has been revoked since.
{{- else if .Closed}}

The report has been closed since.
{{- else}}
Answer by: {{stamp .Row.AnswerBy}}
Decide by: {{stamp .Row.DecideBy}}
{{- end}}

Reports are at {{.Site}}/admin/reports
`)),
		template.Must(template.New("ja").Funcs(template.FuncMap{"stamp": stamp}).Parse(
			`
----
証明書に問題があるという報告を受け付けました。

問題:       {{.Report.Problem}}
シリアル番号: {{or .Row.Serial "記載なし"}}
報告者:     {{or .Report.Reporter "記載なし"}}
受付:       {{stamp .Report.Received}}
{{- if .Report.Proven}}

秘密鍵が第三者の手にあることが証明されました。次の証明書をただちに失効させました。
{{- range .Revoked}}
  {{.}}
{{- end}}
{{- if .Standing}}

次の証明書はまだ失効していません。1分ごとに再試行します。理由はサーバーのログにあります。
{{- range .Standing}}
  {{.}}
{{- end}}
{{- end}}
{{- else if eq .Report.Outcome "revoked"}}

この証明書はその後、失効しました。
{{- else if .Closed}}

この報告はその後、処理が終わりました。
{{- else}}
回答期限:   {{stamp .Row.AnswerBy}}
判断期限:   {{stamp .Row.DecideBy}}
{{- end}}

報告の一覧: {{.Site}}/admin/reports
`)),
	}
})

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
