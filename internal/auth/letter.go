package auth

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"text/template"

	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
)

// The kinds of mails.
const (
	MailInvitation = "invitation"  // to a role
	MailCode       = "sign-in"     // with a code to sign in
	MailChange     = "change"      // something waits for a second member
	MailMemberLost = "member lost" // somebody decides no longer
)

// Mails lists the kinds that [Service.Compose] writes.
var Mails = []string{MailInvitation, MailCode, MailChange, MailMemberLost}

// Letter is a mail that is to leave.
type Letter struct {
	Kind  string
	About string // the id of what it is about
	To    mailbox.Mailbox
	Data  []byte // for Compose
}

// Queue is where mails wait to leave.
type Queue interface {
	Enqueue(tx *store.Tx, l Letter) error
}

// Mail is one mail to one mailbox.
type Mail struct {
	To       string
	Subject  string
	Text     string
	Language string
}

// ErrPointless: the mail has nothing to say any more.
var ErrPointless = errors.New("auth: the mail is not wanted any more")

// Compose writes a mail that is about to leave, with its code, if it has one. None is
// kept: a mail that has to leave again has another one, and the one before is void.
func (s *Service) Compose(tx *store.Tx, kind string, data []byte) (m Mail, err error) {
	switch kind {
	case MailInvitation:
		m, err = s.coded(tx, data, s.invitationMail)
	case MailCode:
		m, err = s.coded(tx, data, s.codeMail)
	case MailChange:
		m, err = s.changeMail(tx, data)
	case MailMemberLost:
		m, err = s.lostMail(tx, data)
	default:
		err = fmt.Errorf("auth: no mail is called %q", kind)
	}
	if errors.Is(err, store.ErrNotFound) {
		err = ErrPointless
	}
	return m, err
}

// coded composes a mail with a new code.
func (s *Service) coded(tx *store.Tx, data []byte, compose func(*store.Tx, []byte, string) (Mail, error)) (Mail, error) {
	code, err := s.newCode(codeGroups)
	if err != nil {
		return Mail{}, err
	}
	return compose(tx, data, code)
}

func (s *Service) invitationMail(tx *store.Tx, id []byte, code string) (Mail, error) {
	row, err := tx.Invitation(string(id))
	if err != nil { // not found: taken back meanwhile
		return Mail{}, err
	}
	if err := tx.SetInvitationCode(row.ID, hashSecret("invitation", code)); err != nil {
		return Mail{}, err
	}
	kind := MailInvitation
	if _, isNew, err := heldBy(tx, row); err == nil && !isNew {
		kind = letterReset
	}
	return s.write(kind, row.Language, row.Email, code)
}

// codeMail is the mail with the code that a person asked for, if somebody holds
// the mailbox.
func (s *Service) codeMail(tx *store.Tx, tokenHash []byte, code string) (Mail, error) {
	step, err := tx.SignInStep(tokenHash, stepCode, s.clock())
	if err != nil {
		return Mail{}, err
	}
	m, err := mailbox.Parse(step.Address)
	if err != nil {
		return Mail{}, err
	}
	if _, err := tx.HolderOf(m.Key()); err != nil {
		return Mail{}, err
	}
	if err := tx.SetSignInDetail(step.TokenHash, hashSecret(stepCode+" "+string(step.TokenHash), code)); err != nil {
		return Mail{}, err
	}
	return s.write(MailCode, step.Language, step.Address, code)
}

func (s *Service) write(kind, language, to, code string) (Mail, error) {
	if language != "ja" {
		language = "en"
	}
	l := letters[kind][language]
	var text strings.Builder
	err := l.text().Execute(&text, map[string]string{"Address": to, "Code": code, "Site": s.url})
	if err != nil {
		return Mail{}, fmt.Errorf("auth: compose mail: %w", err)
	}
	return Mail{To: to, Subject: l.subject, Text: text.String(), Language: language}, nil
}

// letter is a mail with a code. The code stands on a line of its own, and no link
// does anything.
type letter struct {
	subject string
	text    func() *template.Template // parsed when it is first asked for
}

func newLetter(subject, text string) letter {
	return letter{subject, sync.OnceValue(func() *template.Template { return template.Must(template.New("").Parse(text)) })}
}

// letterReset goes to whoever has an account that nothing signs in.
const letterReset = "reset"

var letters = map[string]map[string]letter{
	letterReset: {
		"en": newLetter("Set up your sign-in anew", `Hello,

how you sign in with the address

    {{.Address}}

was reset: password, authenticator app, passkeys and certificates sign
you in no more. Your roles stay. Open {{.Site}}/admin/invitation
and copy the next line into it, to set a password or a passkey:

{{.Code}}

The code works once, for seven days. Nobody honest asks you to pass it
on. If you did not ask for this, tell whoever runs the authority.
`),
		"ja": newLetter("サインインの再設定", `こんにちは。

次のメールアドレスのサインイン方法がリセットされました。

    {{.Address}}

これまでのパスワード、認証アプリ、パスキー、証明書ではサインイン
できません。役割はそのままです。{{.Site}}/admin/invitation を開き、
次の行のコードを貼り付けて、パスワードかパスキーを設定してください。

{{.Code}}

コードは一度だけ、7日以内に使えます。このコードを他の人に教えるよう
求められても、応じないでください。お心当たりがない場合は、認証局を
運用している人に知らせてください。
`),
	},
	MailInvitation: {
		"en": newLetter("You are invited to administer mail certificates", `Hello,

you are invited to help administer mail certificates (S/MIME) with the
address

    {{.Address}}

If you know about this, open {{.Site}}/admin/invitation
and copy the next line into it:

{{.Code}}

The code works once, for seven days. Nobody honest asks you to pass it
on.

If you did not expect this, do nothing and delete this mail.
`),
		"ja": newLetter("メール証明書の管理への招待", `こんにちは。

次のメールアドレスで、メール証明書(S/MIME)の管理に参加するよう
招待されています。

    {{.Address}}

お心当たりがある場合は {{.Site}}/admin/invitation を開き、
次の行のコードを貼り付けてください。

{{.Code}}

コードは一度だけ、7日以内に使えます。このコードを他の人に教えるよう
求められても、応じないでください。

お心当たりがない場合は、何もせずにこのメールを削除してください。
`),
	},
	MailCode: {
		"en": newLetter("Your code to sign in", `Hello,

somebody asked at {{.Site}} to sign in as the holder of

    {{.Address}}

If that was you, copy the next line into the page that asked for it:

{{.Code}}

The code works once, only in the browser that asked for it, and for half
an hour. Nobody honest asks you to pass it on.

If it was not you, do nothing and delete this mail.
`),
		"ja": newLetter("サインイン用の確認コード", `こんにちは。

{{.Site}} で、次のメールアドレスの持ち主としてサインインする
申し込みがありました。

    {{.Address}}

ご本人でしたら、次の行のコードを、申し込みをした画面に貼り付けて
ください。

{{.Code}}

コードは一度だけ、申し込みをしたブラウザーでだけ、30分以内に使えます。
このコードを他の人に教えるよう求められても、応じないでください。

お心当たりがない場合は、何もせずにこのメールを削除してください。
`),
	},
}
