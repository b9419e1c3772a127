package recovery

import (
	"fmt"
	"strings"
	"sync"
	"text/template"

	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// notified is what the mail to the owner speaks of.
type notified struct {
	Name      string
	Keys      int
	Requester string
	Reason    string
	Released  string
	Recipient string
}

// The texts. There is nothing to press: whoever is told can only ask.
var notices = sync.OnceValue(func() map[string]noticeText {
	return map[string]noticeText{
		"en": {"Your mail decryption key was handed out", template.Must(template.New("en").Parse(
			`Hello {{.Name}},

a copy of {{if eq .Keys 1}}a private key{{else}}{{.Keys}} private keys{{end}} with which your mail is decrypted is kept
for emergencies. On {{.Released}} it was handed out.

    Asked for by:  {{.Requester}}
    Reason given:  {{.Reason}}
    Encrypted to:  {{.Recipient}}

Several recovery officers of your organization agreed to it. Whoever has
the key can read mail that was encrypted to you. They cannot sign in your
name with it, and your certificate stays valid.

If you do not know why this happened, ask your administrator.
`))},
		"ja": {"メールの復号鍵が引き渡されました", template.Must(template.New("ja").Parse(
			`{{.Name}} 様

あなた宛ての暗号化メールを復号するための秘密鍵({{.Keys}} 個)は、
緊急時に備えて保管されています。{{.Released}} に、その鍵が引き渡されました。

    申請者:      {{.Requester}}
    申請の理由:  {{.Reason}}
    受け取る証明書:  {{.Recipient}}

引き渡しには、組織の複数の復旧担当者が同意しています。この鍵を持つ人は、
あなた宛てに暗号化されたメールを読むことができます。あなたの名前で署名する
ことはできません。証明書は引き続き有効です。

お心当たりがない場合は、管理者にお問い合わせください。
`))},
	}
})

type noticeText struct {
	subject string
	text    *template.Template
}

// noticeKind is that of the mails to owners.
const noticeKind = "recovery-notice"

// notice writes the mail that tells the owner of a released request.
func (s *Service) notice(tx *store.Tx, m mailqueue.Leaving) (validation.Mail, error) {
	row, err := tx.RecoveryRequest(m.About)
	if err != nil {
		return validation.Mail{}, err
	}
	r, err := s.request(tx, row)
	if err != nil {
		return validation.Mail{}, err
	}
	p, err := tx.Person(row.PersonID)
	if err != nil {
		return validation.Mail{}, err
	}
	n := notified{Name: p.Name, Keys: len(r.Keys), Reason: oneLine(row.Reason), Released: row.Released.Format("2006-01-02 15:04 UTC"), Recipient: strings.Join(r.Recipient.Emails(), ", ")}
	if n.Requester, err = nameOf(tx, row.Requester); err != nil {
		return validation.Mail{}, err
	}
	language := p.Language
	t, ok := notices()[language]
	if !ok {
		language, t = "en", notices()["en"]
	}
	var text strings.Builder
	if err := t.text.Execute(&text, n); err != nil {
		return validation.Mail{}, fmt.Errorf("recovery: compose mail: %w", err)
	}
	return validation.Mail{To: m.To.String(), Subject: t.subject, Text: text.String(), Language: language}, nil
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
