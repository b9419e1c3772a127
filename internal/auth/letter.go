package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/template"

	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/outbox"
	"github.com/mailseal/mailseal/internal/store"
)

// The kinds of jobs that carry a code. None keeps it: a code is made when its
// mail is about to leave, and made anew when it has to leave again.
const (
	JobInvitation = "auth.invitation"
	JobCode       = "auth.code"
)

// Mail is one mail to one mailbox.
type Mail struct {
	To       string
	Subject  string
	Text     string
	Language string
}

// Mailer sends a mail. An error that outbox.Dead made ends the tries.
type Mailer interface {
	Mail(ctx context.Context, m Mail) error
}

// Workers does the jobs that mail codes, by their kinds.
func (s *Service) Workers() map[string]outbox.Worker {
	return map[string]outbox.Worker{
		JobInvitation: {Do: s.mailInvitation, Attempts: 8},
		JobCode:       {Do: s.mailCode, Attempts: 5},
	}
}

// mailInvitation makes the code of an invitation and mails it.
func (s *Service) mailInvitation(ctx context.Context, j outbox.Job) (outbox.Finish, error) {
	code, err := s.newCode(codeGroups)
	if err != nil {
		return nil, err
	}
	var row store.Invitation
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		if row, err = tx.Invitation(string(j.Payload)); err != nil {
			return err
		}
		return tx.SetInvitationCode(row.ID, hashSecret("invitation", code))
	})
	if errors.Is(err, store.ErrNotFound) { // taken back meanwhile
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return nil, s.send(ctx, "invitation", row.Language, row.Email, code)
}

// mailCode makes the code that a person asked for and mails it, if somebody
// holds the mailbox.
func (s *Service) mailCode(ctx context.Context, j outbox.Job) (outbox.Finish, error) {
	code, err := s.newCode(codeGroups)
	if err != nil {
		return nil, err
	}
	var step store.SignInStep
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		if step, err = tx.SignInStep(j.Payload, stepCode, s.clock()); err != nil {
			return err
		}
		m, err := mailbox.Parse(step.Address)
		if err != nil {
			return err
		}
		if _, err := tx.HolderOf(m.Key()); err != nil {
			return err
		}
		return tx.SetSignInDetail(step.TokenHash, hashSecret(stepCode+" "+string(step.TokenHash), code))
	})
	if errors.Is(err, store.ErrNotFound) { // it ended, or nobody holds the mailbox
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return nil, s.send(ctx, stepCode, step.Language, step.Address, code)
}

func (s *Service) send(ctx context.Context, kind, language, to, code string) error {
	if language != "ja" {
		language = "en"
	}
	l := letters[kind][language]
	var text strings.Builder
	err := l.text.Execute(&text, map[string]string{"Address": to, "Code": code, "Site": s.url})
	if err != nil {
		return fmt.Errorf("auth: compose mail: %w", err)
	}
	return s.mailer.Mail(ctx, Mail{To: to, Subject: l.subject, Text: text.String(), Language: language})
}

// letter is a mail with a code. The code stands on a line of its own, and no link
// does anything.
type letter struct {
	subject string
	text    *template.Template
}

func newLetter(subject, text string) letter {
	return letter{subject, template.Must(template.New("").Parse(text))}
}

var letters = map[string]map[string]letter{
	"invitation": {
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
	stepCode: {
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
