package validation

import (
	"fmt"
	"strings"
	"sync"
	"text/template"
	"unicode"
)

// letter is what the mail with the code speaks of.
type letter struct {
	Address string
	Name    string
	Code    string
	Site    string
}

// The texts. The code stands on a line of its own, there is no link that does
// anything, and whoever did not ask learns what to do.
var texts = sync.OnceValue(func() map[string]codeText {
	return map[string]codeText{
		"en": {"Your code for a mail certificate", template.Must(template.New("en").Parse(
			`Hello,

somebody{{with .Name}} called {{.}}{{end}} asked{{with .Site}} at {{.}}{{end}} for a mail certificate
(S/MIME) for the address

    {{.Address}}

If that was you, copy the next line into the page or the prompt that
asked for it:

{{.Code}}

The code works once, only where it was asked for, and for 24 hours.
Opening a link proves nothing, and nobody honest asks you to pass this
code on.

If it was not you, do nothing and delete this mail. Without the code
nobody gets a certificate for your address.
`))},
		"ja": {"メール証明書の確認コード", template.Must(template.New("ja").Parse(
			`こんにちは。

{{with .Name}}「{{.}}」と名乗る方から、{{end}}{{with .Site}}{{.}} で、{{end}}次のメールアドレスの
メール証明書(S/MIME)の申し込みがありました。

    {{.Address}}

お申し込みになったのがご本人でしたら、次の行のコードを、申し込みをした
ページまたは画面に貼り付けてください。

{{.Code}}

コードは一度だけ、申し込みをした画面でだけ、24時間以内に使えます。
リンクを開いても証明にはなりません。このコードを他の人に教えるよう
求められても、応じないでください。

お心当たりがない場合は、何もせずにこのメールを削除してください。
コードがなければ、あなたのアドレスの証明書は誰にも発行されません。
`))},
	}
})

type codeText struct {
	subject string
	text    *template.Template
}

// compose writes the mail in one of the languages, English unless known.
func compose(l letter, language string) (Mail, error) {
	t, ok := texts()[language]
	if !ok {
		language, t = "en", texts()["en"]
	}
	l.Name = harmless(l.Name)
	var text strings.Builder
	if err := t.text.Execute(&text, l); err != nil {
		return Mail{}, fmt.Errorf("validation: compose mail: %w", err)
	}
	return Mail{To: l.Address, Subject: t.subject, Text: text.String(), Language: language}, nil
}

// harmless returns a name as it may be put before a stranger's eyes, or
// nothing. Whoever applies chooses the name and the address that is mailed to;
// a name that reads as a link or an address would make us carry their message.
func harmless(name string) string {
	const longest = 64
	if len(name) > longest || strings.ContainsAny(name, "/\\:@<>\"`|[]{}=%") {
		return ""
	}
	runes := []rune(name)
	for i, r := range runes {
		if !unicode.IsPrint(r) || unicode.In(r, unicode.Bidi_Control) {
			return ""
		}
		// "evil.example" is made a link by mail programs, "J. R. Doe" is not.
		dot := r == '.' || r == '\u3002' || r == '\uff0e'
		if dot && i+2 < len(runes) && unicode.IsLetter(runes[i+1]) && unicode.IsLetter(runes[i+2]) {
			return ""
		}
	}
	return name
}
