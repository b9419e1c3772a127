package roster

import (
	"strings"
	"sync"
	"unicode"
)

// text is what is wrong and what to do about it, in both languages.
type text struct{ en, ja [2]string }

// maxShown bounds how much of a cell a problem repeats, in characters.
const maxShown = 60

// shown is a cell as it may be put before a person: one line of characters that
// show, and not too many.
func shown(args []string) []string {
	for i, arg := range args {
		arg = strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) || unicode.In(r, unicode.Bidi_Control) {
				return '\ufffd'
			}
			return r
		}, arg)
		if runes := []rune(arg); len(runes) > maxShown {
			arg = string(runes[:maxShown-1]) + "…"
		}
		args[i] = arg
	}
	return args
}

// Texts returns what every key says, for tests that compare the languages.
func Texts() map[string]map[string][2]string {
	all := map[string]map[string][2]string{}
	for key, t := range texts() {
		all[key] = map[string][2]string{"en": t.en, "ja": t.ja}
	}
	return all
}

// texts are made when the first one is asked for: most runs of the program read
// no list.
var texts = sync.OnceValue(func() map[string]text {
	return map[string]text{
		KeyEmpty: {
			[2]string{"The list is empty.", "Send a file with one line for each person."},
			[2]string{"名簿が空です。", "1人につき1行のファイルを送ってください。"},
		},
		KeyNoAddresses: {
			[2]string{"No column holds mail addresses.", "Name the column in the first line: email."},
			[2]string{"メールアドレスの列がありません。", "1行目に列の名前(email または メールアドレス)を書いてください。"},
		},
		KeyHeaderTwice: {
			[2]string{"Two columns are read as the same thing: {0} and {1}.", "Remove or rename one of them."},
			[2]string{"2つの列が同じ項目です: {0} と {1}。", "どちらかを削除するか、名前を変えてください。"},
		},
		KeyEncoding: {
			[2]string{"The line has bytes that are no characters.", "Save the file as UTF-8 or as Windows-31J (Shift_JIS), not as a mixture."},
			[2]string{"文字として読めないバイトがあります。", "ファイル全体を UTF-8 または Windows-31J(Shift_JIS)で保存し直してください。"},
		},
		KeyQuote: {
			[2]string{"A quotation mark stands inside a cell that has none around it.", `Put the cell in quotation marks and write the inner one twice: "Taro ""T"" Yamada".`},
			[2]string{"引用符で囲まれていないセルの中に引用符があります。", `セル全体を引用符で囲み、中の引用符は2つ続けて書いてください。`},
		},
		KeyQuoteOpen: {
			[2]string{"A quotation mark opens a cell and none closes it.", "Close it in the same line."},
			[2]string{"引用符で始まるセルが閉じられていません。", "同じ行で引用符を閉じてください。"},
		},
		KeyAfterQuote: {
			[2]string{"Something stands between a closing quotation mark and the separator.", "Write a quotation mark inside a cell twice."},
			[2]string{"閉じる引用符と区切り文字の間に余分な文字があります。", "セルの中の引用符は2つ続けて書いてください。"},
		},
		KeyCells: {
			[2]string{"The line has {0} cells, the first line has {1}.", "Look for a separator that is missing, or one inside a cell that is not in quotation marks."},
			[2]string{"セルの数が {0} で、1行目の {1} と合いません。", "区切り文字の抜けや、引用符で囲んでいないセルの中の区切り文字を確かめてください。"},
		},
		KeyTooManyCells: {
			[2]string{"The line has more than {0} cells.", "Remove columns that are not needed."},
			[2]string{"セルの数が {0} を超えています。", "不要な列を削除してください。"},
		},
		KeyLongCell: {
			[2]string{"The cell is longer than {0} bytes.", "Shorten it, or look for a quotation mark that is not closed."},
			[2]string{"セルが {0} バイトを超えています。", "短くするか、閉じていない引用符がないか確かめてください。"},
		},
		KeyTooMany: {
			[2]string{"The list has more than {0} people; it was read up to here.", "Split it."},
			[2]string{"人数が {0} を超えています。ここまでしか読んでいません。", "名簿を分けてください。"},
		},
		KeyNoAddress: {
			[2]string{"No mail address.", "Fill it in, or remove the line."},
			[2]string{"メールアドレスがありません。", "記入するか、行を削除してください。"},
		},
		KeyNoAt: {
			[2]string{"{0} is no mail address: it has no @.", "Write the whole address, such as taro@example.jp."},
			[2]string{"{0} には @ がなく、メールアドレスではありません。", "taro@example.jp のように全体を書いてください。"},
		},
		KeyTwoAts: {
			[2]string{"{0} has more than one @.", "One address for each line."},
			[2]string{"{0} には @ が2つ以上あります。", "1行に1つのアドレスを書いてください。"},
		},
		KeySpace: {
			[2]string{"{0} has a space or an invisible character in it.", "Remove it."},
			[2]string{"{0} に空白または見えない文字が含まれています。", "取り除いてください。"},
		},
		KeyWide: {
			[2]string{"{0} has full-width characters.", "Write the address with half-width letters, digits and signs."},
			[2]string{"{0} に全角文字が含まれています。", "アドレスは半角で書いてください。"},
		},
		KeyDisplayName: {
			[2]string{"{0} is more than an address.", "Leave the address alone in the cell, without name and < >."},
			[2]string{"{0} にはアドレス以外のものが含まれています。", "名前や < > を除き、アドレスだけを書いてください。"},
		},
		KeyAddress: {
			[2]string{"{0} is no address that a certificate can have.", "Look for typing errors: a dot at an end, a comma, a bracket, a quotation mark, a missing domain."},
			[2]string{"{0} は証明書に書けるアドレスではありません。", "端のドット、カンマ、かっこ、引用符、ドメインの抜けなどの打ち間違いを確かめてください。"},
		},
		KeyASCII: {
			[2]string{"{0} has letters before the @ that are not ASCII, and this installation's mail relay does not take them.", "Use the address in ASCII that the mailbox has, too."},
			[2]string{"{0} は @ の前に ASCII 以外の文字があり、この環境のメールサーバーでは扱えません。", "同じメールボックスの ASCII のアドレスを使ってください。"},
		},
		KeyDomain: {
			[2]string{"The organization has not shown that {0} is its domain.", "Prove the domain first, or correct the address."},
			[2]string{"{0} が組織のドメインであることが確認されていません。", "先にドメインを確認するか、アドレスを直してください。"},
		},
		KeyTwice: {
			[2]string{"{0} stands in line {1} already.", "Remove one of the two lines."},
			[2]string{"{0} はすでに {1} 行目にあります。", "どちらかの行を削除してください。"},
		},
		KeyNumberTwice: {
			[2]string{"The number {0} stands in line {1} already.", "Each person has a number of their own: correct one of the two, or leave it empty."},
			[2]string{"番号 {0} はすでに {1} 行目にあります。", "番号は1人に1つです。どちらかを直すか、空にしてください。"},
		},
		KeyNoName: {
			[2]string{"The name is not complete.", "The organization's certificates name people: fill in given name and surname; who has one name only has it as surname."},
			[2]string{"氏名がそろっていません。", "この組織の証明書には氏名が入ります。姓と名を記入してください。名が1つだけの方は姓の欄に書いてください。"},
		},
		KeyLongName: {
			[2]string{"{0} has more than {1} characters.", "Shorten it as the person would."},
			[2]string{"{0} が {1} 文字を超えています。", "短くしてください。"},
		},
		KeyInvisible: {
			[2]string{"{0} has a character that does not show.", "Remove line breaks, tabs and invisible characters."},
			[2]string{"{0} に見えない文字が含まれています。", "改行、タブ、見えない文字を取り除いてください。"},
		},
		KeyFormula: {
			[2]string{"{0} begins with a sign that spreadsheets take for a formula.", "Remove the sign."},
			[2]string{"{0} が表計算ソフトで数式とみなされる記号で始まっています。", "記号を取り除いてください。"},
		},
		KeyAtInName: {
			[2]string{"{0} looks like a mail address, not like a name.", "Look whether columns were mixed up."},
			[2]string{"{0} は氏名ではなくメールアドレスのように見えます。", "列を取り違えていないか確かめてください。"},
		},
		KeyLanguage: {
			[2]string{"{0} is no language in which mails are written here.", "Write en or ja, or leave it empty."},
			[2]string{"{0} の言語ではメールを書けません。", "en または ja と書くか、空にしてください。"},
		},
		KeyLDIF: {
			[2]string{"The line is no attribute of LDIF.", "Export again as LDIF (RFC 2849), for instance with ldapsearch -LLL."},
			[2]string{"LDIF の属性の行ではありません。", "ldapsearch -LLL などで、もう一度 LDIF(RFC 2849)として書き出してください。"},
		},
		KeyLDIFURL: {
			[2]string{"The value is a link to another file.", "Export with the values in the file itself."},
			[2]string{"値が別のファイルへの参照になっています。", "値そのものを含めて書き出してください。"},
		},
		KeyLDIFChange: {
			[2]string{"The entry is a change, not a person.", "Export entries, without changetype."},
			[2]string{"エントリーではなく変更の記録です。", "changetype のないエントリーを書き出してください。"},
		},
		KeyBase64: {
			[2]string{"The value is no Base64 of UTF-8 text.", "Export again."},
			[2]string{"値が UTF-8 の文字列の Base64 ではありません。", "もう一度書き出してください。"},
		},
		KeyJSON: {
			[2]string{"The file is no JSON with SCIM users from here on.", "Send a ListResponse, an array of users, or one user (RFC 7643, RFC 7644)."},
			[2]string{"ここから先は SCIM ユーザーの JSON として読めません。", "ListResponse、ユーザーの配列、または1人のユーザー(RFC 7643、RFC 7644)を送ってください。"},
		},
		KeyUser: {
			[2]string{"The user has a value of the wrong type.", "Send users as RFC 7643 §4.1 has them."},
			[2]string{"値の型が正しくないユーザーがあります。", "RFC 7643 §4.1 の形のユーザーを送ってください。"},
		},
		KeyEquipped: {
			[2]string{"{0} has a certificate that is good for a while; the line is left out.", "Nothing. To replace it, revoke or renew it."},
			[2]string{"{0} にはまだ有効な証明書があるため、この行は対象外です。", "何もする必要はありません。取り替えるときは失効または更新してください。"},
		},
		KeyKnown: {
			[2]string{"{0} is one of the organization's people already; the name and the rest stay as they are.", "Nothing. Names are changed on the person's page."},
			[2]string{"{0} はすでに登録されています。氏名などは変更しません。", "何もする必要はありません。氏名の変更は個人のページで行えます。"},
		},
		KeyIgnored: {
			[2]string{"The column {0} is not read.", "Nothing, unless it was meant to be: then name it as the help says."},
			[2]string{"列「{0}」は読み取りません。", "読み取らせたい列であれば、説明にある名前に変えてください。"},
		},
		KeyInactive: {
			[2]string{"{0} is not active; the entry is left out.", "Nothing."},
			[2]string{"{0} は無効化されているため、対象外です。", "何もする必要はありません。"},
		},
		KeyMoreAddresses: {
			[2]string{"The entry has several addresses; {0} is used.", "Give the others lines of their own if they need certificates."},
			[2]string{"アドレスが複数あります。{0} を使います。", "ほかのアドレスにも証明書が必要なら、別の行にしてください。"},
		},
		KeyPage: {
			[2]string{"The answer holds {0} of {1} users.", "Fetch the other pages and send them, too."},
			[2]string{"全 {1} ユーザーのうち {0} だけが含まれています。", "残りのページも取得して送ってください。"},
		},
	}
})
