package enrollment

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// letter is what our mails speak of.
type letter struct {
	Name         string
	Organization string
	Link         string
	Code         string
	Until        string
	Days         int
	Serial       string
}

// writing is a mail in one language.
type writing struct {
	subject string
	text    func() *template.Template // parsed when it is first asked for
}

func write(name, subject, text string) writing {
	return writing{subject, sync.OnceValue(func() *template.Template { return template.Must(template.New(name).Parse(text)) })}
}

// The code stands on a line of its own, and whoever follows the link without it
// gets nothing.
var writings = map[string]map[string]writing{
	ModeInvite: {
		"en": write("invite.en", "Your mail certificate: make your key", `{{with .Name}}{{.}},

{{end}}{{.Organization}} has ordered a mail certificate (S/MIME) for you. With it
your mails carry your signature, and others can write to you so that
nobody but you can read it.

1. Open this page on the computer where you read your mail:

{{.Link}}

2. Paste the next line there. Your key is made in your browser, and
   nobody else ever has it:

{{.Code}}

The code works only on that page, until {{.Until}}. The link alone
opens nothing. If you did not expect this mail, ask your administrator
before you follow it.
`),
		"ja": write("invite.ja", "メール証明書のご案内:鍵を作成してください", `{{with .Name}}{{.}} 様

{{end}}{{.Organization}} があなたのメール証明書(S/MIME)を申請しました。
証明書があると、メールに署名を付けることができ、あなただけが読める
暗号化メールを受け取ることができます。

1. ふだんメールを読むコンピューターで、次のページを開いてください。

{{.Link}}

2. 次の行のコードを、そのページに貼り付けてください。鍵はあなたの
   ブラウザーの中で作られ、ほかの誰にも渡りません。

{{.Code}}

コードはそのページでだけ、{{.Until}} まで使えます。リンクだけでは
何もできません。お心当たりがない場合は、リンクを開く前に管理者に
確認してください。
`),
	},
	ModeServerKeys: {
		"en": write("pickup.en", "Your mail certificate is ready", `{{with .Name}}{{.}},

{{end}}{{.Organization}} has a mail certificate (S/MIME) for you, with its key.

1. Open this page on the computer where you read your mail:

{{.Link}}

2. Paste the next line there, and save the file. It can be picked up
   once, and is then deleted from the server:

{{.Code}}

Your mail program asks for the file's passphrase. It is not in this
mail: your administrator gives it to you, or you see it when you have
signed in on the page. The code works until {{.Until}}. The link
alone opens nothing. If you did not expect this mail, ask your
administrator before you follow it.
`),
		"ja": write("pickup.ja", "メール証明書の準備ができました", `{{with .Name}}{{.}} 様

{{end}}{{.Organization}} が、あなたのメール証明書(S/MIME)と鍵を用意しました。

1. ふだんメールを読むコンピューターで、次のページを開いてください。

{{.Link}}

2. 次の行のコードを、そのページに貼り付けて、ファイルを保存して
   ください。受け取りは1回だけで、その後サーバーから削除されます。

{{.Code}}

メールソフトに取り込むときに、ファイルのパスワードが必要です。
このメールには書かれていません。管理者から受け取るか、ページで
サインインすると表示されます。コードは {{.Until}} まで使えます。
リンクだけでは何もできません。お心当たりがない場合は、リンクを
開く前に管理者に確認してください。
`),
	},
	mailEnding: {
		"en": write("ending.en", "Your mail certificate ends soon", `{{with .Name}}{{.}},

{{end}}your mail certificate with the serial number

    {{.Serial}}

ends on {{.Until}}{{if .Days}}, in {{.Days}} days{{end}}. From then on others are warned about your
signature. Renew it here:

{{.Link}}

Keep the old key: mails that were encrypted for it can be read with
nothing else.
`),
		"ja": write("ending.ja", "メール証明書の有効期限が近づいています", `{{with .Name}}{{.}} 様

{{end}}次のシリアル番号のメール証明書の有効期限は {{.Until}} です
{{if .Days}}(あと {{.Days}} 日)。{{else}}。{{end}}

    {{.Serial}}

期限を過ぎると、あなたの署名に警告が表示されるようになります。
次のページで更新してください。

{{.Link}}

古い鍵は捨てないでください。その鍵で暗号化されたメールは、ほかの
鍵では読めません。
`),
	},
}

// compose writes a mail in one of the languages, English unless known.
func compose(kind, language string, l letter) (validation.Mail, error) {
	w, known := writings[kind][language]
	if !known {
		language, w = "en", writings[kind]["en"]
	}
	var text strings.Builder
	if err := w.text().Execute(&text, l); err != nil {
		return validation.Mail{}, fmt.Errorf("enrollment: compose mail: %w", err)
	}
	return validation.Mail{Subject: w.subject, Text: text.String(), Language: language, Signed: true}, nil
}

// day is a date as both languages read it.
func day(t time.Time) string { return t.Format(time.DateOnly) }

// composePickup makes a code as the mail leaves, so that none lies in a queue.
func (s *Service) composePickup(tx *store.Tx, m mailqueue.Leaving) (validation.Mail, error) {
	p, err := tx.Pickup(m.About)
	if err != nil {
		return validation.Mail{}, err
	}
	if s.stateOf(p) != PickupWaiting {
		return validation.Mail{}, mailqueue.ErrPointless
	}
	person, err := tx.Person(p.PersonID)
	if err != nil {
		return validation.Mail{}, err
	}
	organization, err := s.organizationName(tx, p.OrganizationID, p.Language)
	if err != nil {
		return validation.Mail{}, err
	}
	code, err := validation.NewCode(s.o.Rand)
	if err != nil {
		return validation.Mail{}, err
	}
	letters, err := validation.CanonicalCode(code)
	if err != nil {
		return validation.Mail{}, err
	}
	if err := tx.PickupCode(p.ID, hashCode(p.ID, letters)); err != nil {
		return validation.Mail{}, err
	}
	mail, err := compose(p.Mode, p.Language, letter{
		Name: person.Name, Organization: organization, Link: s.o.Site + "/i/" + p.ID, Code: code, Until: day(p.Expires),
	})
	mail.To = p.Address
	return mail, err
}

func (s *Service) organizationName(tx *store.Tx, id, language string) (string, error) {
	o, err := tx.Organization(id)
	if language == "ja" && o.LocalName != "" {
		return o.LocalName, err
	}
	return o.Name, err
}

// ending is what a reminder is about.
type ending struct {
	Certificate string `json:"certificate"`
	Days        int    `json:"days"`
}

// composeEnding writes a reminder, unless the certificate was renewed or revoked
// meanwhile.
func (s *Service) composeEnding(tx *store.Tx, m mailqueue.Leaving) (validation.Mail, error) {
	var e ending
	if err := json.Unmarshal(m.Data, &e); err != nil {
		return validation.Mail{}, err
	}
	c, err := tx.EndingCertificate(e.Certificate, s.now())
	if err != nil {
		return validation.Mail{}, endless(err)
	}
	mail, err := compose(mailEnding, c.Language, letter{
		Name: c.Name, Link: s.o.Site + "/", Until: day(c.NotAfter), Days: e.Days, Serial: fmt.Sprintf("%x", c.Serial),
	})
	mail.To = m.To.String()
	return mail, err
}
