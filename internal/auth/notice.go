package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
)

// Mails to the members of an organization in which two decide: of what waits for
// them, and of who is no member any more. They are in both languages, because
// nobody has asked which one an account reads.

// changeNotice is what a [MailChange] is made of.
type changeNotice struct {
	Change  string `json:"change"`
	Account string `json:"account"` // who gets it
}

// deciders are the accounts that may confirm a change: the other members; and
// operators, where there is none, or one loses their role.
func deciders(tx *store.Tx, c Change) ([]Account, error) {
	list := slices.Clone(c.For)
	if len(list) > 0 && c.Kind != TakeMember {
		return list, nil
	}
	rows, err := tx.RolesIn("")
	if err != nil {
		return nil, err
	}
	for _, g := range rows {
		known := slices.ContainsFunc(list, func(a Account) bool { return a.ID == g.AdministratorID })
		if Role(g.Role) != Operator || g.AdministratorID == c.Asker.ID || known {
			continue
		}
		a, err := accountByID(tx, g.AdministratorID)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

// tellOfChange has all who may confirm a change told of it. Each gets a mail of their
// own, so that none depends on another's mailbox.
func tellOfChange(tx *store.Tx, queue Queue, c Change) error {
	if queue == nil {
		return nil
	}
	list, err := deciders(tx, c)
	if err != nil {
		return err
	}
	for _, a := range list {
		data, err := json.Marshal(changeNotice{c.ID, a.ID})
		if err != nil {
			return err
		}
		if err := post(tx, queue, Letter{Kind: MailChange, About: c.ID, Data: data}, a.Email); err != nil {
			return err
		}
	}
	return nil
}

// post queues a letter, unless the address takes no mail: an act is not undone
// because somebody cannot be told of it.
func post(tx *store.Tx, queue Queue, l Letter, address string) error {
	to, err := mailbox.Parse(address)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	l.To = to
	return queue.Enqueue(tx, l)
}

// changeMail tells of a change as long as it waits, and those who may confirm it.
func (s *Service) changeMail(tx *store.Tx, data []byte) (Mail, error) {
	var n changeNotice
	if err := json.Unmarshal(data, &n); err != nil {
		return Mail{}, fmt.Errorf("auth: mail of a change: %w", err)
	}
	row, err := tx.PendingChange(n.Change, s.clock())
	if err != nil {
		return Mail{}, err
	}
	c, err := changeOf(tx, row)
	if err != nil {
		return Mail{}, err
	}
	list, err := deciders(tx, c)
	if err != nil {
		return Mail{}, err
	}
	i := slices.IndexFunc(list, func(a Account) bool { return a.ID == n.Account })
	if i < 0 {
		return Mail{}, ErrPointless
	}
	name, err := organizationName(tx, c.Organization)
	if err != nil {
		return Mail{}, err
	}
	return s.notice(changeLetter, list[i].Email, noticeText{
		Organization: name, Page: s.url + "/org/" + c.Organization + "/accounts", By: c.Asker.Email, Until: c.Expires, Change: c,
	})
}

// memberLost is what a [MailMemberLost] is made of: whom it is about may have no
// account any more.
type memberLost struct {
	Organization string    `json:"organization"`
	To           string    `json:"to"`
	Who          string    `json:"who"`
	By           string    `json:"by"` // empty: the server's console
	Left         int       `json:"left"`
	Until        time.Time `json:"until,omitzero"` // when one alone decides
}

// lost deals with an organization that a member was taken from, in the transaction
// that did it: the members who are left, and whom it was, are told. Where two decide
// and one is left, the second pair of eyes stays for as long as changes wait: else
// whoever dismisses the other, or is left by them, does alone what waits for two.
func (s *Service) lost(tx *store.Tx, by Actor, who store.Administrator, organization string) error {
	left, err := Members(tx, organization)
	if err != nil || slices.Contains(left, who.ID) {
		return err // in another role
	}
	until, err := s.hold(tx, by, who.ID, organization, len(left))
	if err != nil || s.queue == nil {
		return err
	}
	byName := ""
	if by.Kind != KindServer {
		a, err := accountByID(tx, by.person())
		if err != nil {
			return err
		}
		if byName = a.Email; by.person() == who.ID {
			byName = who.Email
		}
	}
	to := []string{who.Email}
	for _, id := range append(left, who.ID) {
		if id == by.person() && by.Kind != KindServer || id == who.ID {
			continue
		}
		a, err := accountByID(tx, id)
		if err != nil {
			return err
		}
		to = append(to, a.Email)
	}
	if by.Kind != KindServer && by.person() == who.ID {
		to = to[1:] // they know
	}
	for _, address := range to {
		data, err := json.Marshal(memberLost{organization, address, who.Email, byName, len(left), until})
		if err != nil {
			return err
		}
		if err := post(tx, s.queue, Letter{Kind: MailMemberLost, About: organization, Data: data}, address); err != nil {
			return err
		}
	}
	return nil
}

// hold keeps the second pair of eyes of an organization in which one is left, and
// says until when. Who leaves by themselves, with nothing waiting, leaves the other
// alone; and whoever has the server's data in hand needs nobody.
func (s *Service) hold(tx *store.Tx, by Actor, who, organization string, left int) (until time.Time, err error) {
	if left != 1 || by.Kind == KindServer || s.rules == nil {
		return until, nil
	}
	if two, err := s.rules.TwoDecide(tx, organization); err != nil || !two {
		return until, err
	}
	if by.person() == who {
		waiting, err := tx.PendingChanges(organization, s.clock())
		if err != nil || len(waiting) == 0 {
			return until, err
		}
	}
	until = s.clock().UTC().Truncate(time.Second).Add(ChangeLife)
	return until, tx.HoldEyes(organization, until)
}

func (s *Service) lostMail(tx *store.Tx, data []byte) (Mail, error) {
	var n memberLost
	if err := json.Unmarshal(data, &n); err != nil {
		return Mail{}, fmt.Errorf("auth: mail of a member who is gone: %w", err)
	}
	name, err := organizationName(tx, n.Organization)
	if err != nil {
		return Mail{}, err
	}
	return s.notice(lostLetter, n.To, noticeText{
		Organization: name, Page: s.url + "/org/" + n.Organization + "/accounts", By: n.By, Until: n.Until, Who: n.Who, Left: n.Left,
	})
}

func organizationName(tx *store.Tx, id string) (string, error) {
	o, err := tx.Organization(id)
	if errors.Is(err, store.ErrNotFound) {
		return id, nil
	}
	return o.Name, err
}

// noticeText is what the mails of this file speak of.
type noticeText struct {
	Organization, Page, By, Who string
	Left                        int
	Until                       time.Time // zero: nothing is held
	Change                      Change
}

// Role is the role that a change is about, in a language.
func (n noticeText) Role(language string) string {
	return roleNames[language][n.Change.Role]
}

// Officers are those whom a change names.
func (n noticeText) Officers() string {
	var list []string
	for _, a := range n.Change.Officers {
		list = append(list, a.Email)
	}
	return strings.Join(list, ", ")
}

// Stamp is when it ends.
func (n noticeText) Stamp() string { return n.Until.UTC().Format("2006-01-02 15:04 UTC") }

var roleNames = map[string]map[Role]string{
	"en": {Administrator: "administrator", Approver: "approver", RecoveryOfficer: "recovery officer"},
	"ja": {Administrator: "管理者", Approver: "承認者", RecoveryOfficer: "復元担当者"},
}

// noticeLetter is a mail in both languages.
type noticeLetter struct {
	subject string
	text    func() *template.Template
}

func newNotice(subject, text string) noticeLetter {
	return noticeLetter{subject, sync.OnceValue(func() *template.Template { return template.Must(template.New("").Parse(text)) })}
}

func (s *Service) notice(l noticeLetter, to string, n noticeText) (Mail, error) {
	var text strings.Builder
	if err := l.text().Execute(&text, n); err != nil {
		return Mail{}, fmt.Errorf("auth: compose mail: %w", err)
	}
	return Mail{To: to, Subject: l.subject, Text: text.String(), Language: "en"}, nil
}

var changeLetter = newNotice("A change waits for a second person / 変更が別の担当者の確認を待っています", `Hello,

in {{.Organization}} somebody asked for what takes a second person:

    {{with .Change}}{{if eq .Kind "approval-off"}}orders are no longer to be approved by a second person
    {{else if eq .Kind "invite"}}{{.Account.Email}} is to be invited as {{$.Role "en"}}
    {{else if eq .Kind "give"}}{{.Account.Email}} is to become {{$.Role "en"}}
    {{else if eq .Kind "take"}}{{.Account.Email}} is to be {{$.Role "en"}} no longer
    {{else}}recovery officers, of whom {{.Threshold}} open a key together: {{$.Officers}}
    {{end}}{{end}}asked for by {{.By}}

Nothing happens until somebody else confirms it. Look at it, and confirm
or refuse it, at

    {{.Page}}

It waits until {{.Stamp}} and lapses then.

────

こんにちは。

{{.Organization}} で、別の担当者の確認が必要な変更が依頼されました。

    {{with .Change}}{{if eq .Kind "approval-off"}}申請に別の担当者の承認を不要にする
    {{else if eq .Kind "invite"}}{{.Account.Email}} を{{$.Role "ja"}}として招待する
    {{else if eq .Kind "give"}}{{.Account.Email}} を{{$.Role "ja"}}にする
    {{else if eq .Kind "take"}}{{.Account.Email}} を{{$.Role "ja"}}から外す
    {{else}}次の人を復元担当者にする（{{.Threshold}}人が揃うと鍵を開けられます）: {{$.Officers}}
    {{end}}{{end}}依頼した人: {{.By}}

ほかの人が確認するまで、何も変わりません。次のページで内容をご覧の
うえ、確認するか却下してください。

    {{.Page}}

期限は {{.Stamp}} です。期限を過ぎると自動的に取り下げられます。
`)

var lostLetter = newNotice("An administrator was removed / 管理者が外されました", `Hello,

in {{.Organization}}

    {{.Who}}

is administrator or approver no longer. Done by {{or .By "whoever runs the server"}}.
{{if eq .Left 0}}
Nobody is left who decides there.
{{else if eq .Left 1}}{{if .Until.IsZero}}
One is left who decides there, and needs nobody else.
{{else}}
One is left who decides there. What took two takes an operator as the
second one until {{.Stamp}}.
{{end}}{{end}}
If you did not expect this, tell whoever runs the authority at once. Who
has which role:

    {{.Page}}

────

こんにちは。

{{.Organization}} で、

    {{.Who}}

は、管理者・承認者ではなくなりました。操作した人: {{or .By "サーバーの運用担当者"}}
{{if eq .Left 0}}
この組織には、申請を判断できる人がいなくなりました。
{{else if eq .Left 1}}{{if .Until.IsZero}}
この組織で申請を判断できる人は一人になり、以後は一人で操作できます。
{{else}}
この組織で申請を判断できる人は一人になりました。二人での確認が必要
だった操作には、{{.Stamp}} まで認証局のオペレーターの確認が
必要です。
{{end}}{{end}}
お心当たりがない場合は、すぐに認証局を運用している人に知らせて
ください。役割の一覧は次のページにあります。

    {{.Page}}
`)
