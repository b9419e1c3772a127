package roster

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Field is what a column means.
type Field string

// The fields of a person.
const (
	FieldAddress    Field = "email"
	FieldGivenName  Field = "given name"
	FieldSurname    Field = "surname"
	FieldLocalName  Field = "local name"
	FieldNumber     Field = "employee number"
	FieldDepartment Field = "department"
	FieldLanguage   Field = "language"
)

// headers are the names of columns that are known, as plain has them.
var headers = []struct {
	field Field
	names []string
}{
	{FieldAddress, []string{
		"email", "mail", "emailaddress", "mailaddress", "smtpaddress", "primarysmtpaddress", "emailadress",
		"メールアドレス", "eメールアドレス", "電子メールアドレス", "メール", "eメール", "電子メール",
	}},
	{FieldGivenName, []string{
		"givenname", "firstname", "given", "first", "forename",
		"名", "名ローマ字", "ローマ字名", "名英字", "名英語",
	}},
	{FieldSurname, []string{
		"surname", "lastname", "familyname", "sn", "last", "family",
		"姓", "苗字", "名字", "姓ローマ字", "ローマ字姓", "姓英字", "姓英語",
	}},
	{FieldLocalName, []string{
		"localname", "name", "displayname", "fullname", "cn", "commonname", "kanji", "kanjiname",
		"氏名", "名前", "お名前", "漢字氏名", "氏名漢字", "表示名", "姓名",
	}},
	{FieldNumber, []string{
		"employeenumber", "employeeid", "staffid", "personnelnumber", "employeeno",
		"社員番号", "従業員番号", "職員番号", "学籍番号", "社員id",
	}},
	{FieldDepartment, []string{
		"department", "dept", "ou", "unit", "division", "departmentnumber", "organizationalunit",
		"部署", "部署名", "所属", "所属部署", "部門", "部門名", "部課",
	}},
	{FieldLanguage, []string{
		"language", "lang", "preferredlanguage", "locale",
		"言語", "使用言語",
	}},
}

// plain is a header without what people write in different ways: case, width,
// spaces, hyphens, underscores and parentheses.
func plain(header string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, norm.NFKC.String(header))
}

// fieldNamed is what a column with this header means; empty: it is not known.
func fieldNamed(header string) Field {
	name := plain(header)
	for _, h := range headers {
		if slices.Contains(h.names, name) {
			return h.field
		}
	}
	return ""
}
