package roster

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"

	"github.com/mailseal/mailseal/internal/mailbox"
)

func read(t *testing.T, text string, o Options) *List {
	t.Helper()
	l, err := ReadCSV(strings.NewReader(text), o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// told is the problems as LINE:COLUMN KEY, in their order.
func told(problems []Problem) (all []string) {
	for _, p := range problems {
		all = append(all, fmt.Sprintf("%d:%d %s", p.Line, p.Column, strings.TrimPrefix(p.Key, "roster.")))
	}
	return all
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

const (
	inEnglish  = "Email,Given Name,Surname,Local Name,Employee Number,Department,Language\r\ntaro@example.jp,Taro,Yamada,山田 太郎,0012,営業部,ja\r\nhanako@example.jp,Hanako,Takahashi,髙橋 花子,0013,\"Sales, ①\",en\r\n"
	inJapanese = "メールアドレス,名(ローマ字),姓(ローマ字),氏名,社員番号,部署,言語\r\ntaro@example.jp,Taro,Yamada,山田 太郎,0012,営業部,日本語\r\nhanako@example.jp,Hanako,Takahashi,髙橋 花子,0013,\"Sales, ①\",英語\r\n"
)

// tabbed separates by tabs, of which no cell has one.
func tabbed(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "Sales,", "Sales/"), ",", "\t")
}

// One list in every form that spreadsheets save it in.
func TestForms(t *testing.T) {
	sjis := func(s string) string {
		b, err := japanese.ShiftJIS.NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	utf16, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(tabbed(inJapanese))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, encoding, separator string }{
		"UTF-8":            {inEnglish, UTF8, ","},
		"with BOM":         {"\ufeff" + inJapanese, UTF8, ","},
		"semicolons":       {strings.ReplaceAll(inEnglish, ",", ";"), UTF8, ";"},
		"sep=":             {"sep=;\r\n" + strings.ReplaceAll(inEnglish, ",", ";"), UTF8, ";"},
		"tabs, LF":         {strings.ReplaceAll(tabbed(inJapanese), "\r\n", "\n"), UTF8, "\t"},
		"CR":               {strings.ReplaceAll(inJapanese, "\r\n", "\r"), UTF8, ","},
		"Windows-31J":      {sjis(inJapanese), Windows31J, ","},
		"Windows-31J, ;":   {sjis(strings.ReplaceAll(inJapanese, ",", ";")), Windows31J, ";"},
		"Unicode text":     {utf16, UTF16, "\t"},
		"wide headers":     {strings.Replace(inEnglish, "Email", "Ｅ－ｍａｉｌ", 1), UTF8, ","},
		"blank lines":      {"\r\n,,,,,,\r\n" + inEnglish + ",,,,,,\r\n\r\n", UTF8, ","},
		"without last EOL": {strings.TrimSuffix(inEnglish, "\r\n"), UTF8, ","},
	} {
		t.Run(name, func(t *testing.T) {
			l := read(t, c.text, Options{})
			if !l.Good() || l.Encoding != c.encoding || l.Separator != c.separator || len(l.People) != 2 {
				t.Fatalf("encoding %s, separator %q, %d people, problems %q", l.Encoding, l.Separator, len(l.People), told(l.Problems))
			}
			p := l.People[1]
			department := "Sales, ①"
			if c.separator != "," {
				department = strings.ReplaceAll(strings.ReplaceAll(department, ",", c.separator), "\t", "/")
			}
			p.Line = 0
			want := Person{GivenName: "Hanako", Surname: "Takahashi", LocalName: "髙橋 花子", Number: "0013", Department: department, Language: "en"}
			want.Address, _ = mailbox.Parse("hanako@example.jp")
			if p != want {
				t.Errorf("got %+v, want %+v", p, want)
			}
		})
	}
}

// Every kind of broken line costs itself and no other.
func TestProblems(t *testing.T) {
	const head = "email,given name,surname,local name,employee number,department,language\n"
	good := "good%d@example.jp,Taro,Yamada,山田,%d,Sales,ja\n"
	o := Options{
		Names:  true,
		Covers: func(domain string) bool { return domain == "example.jp" },
		Standing: func(m mailbox.Mailbox) Standing {
			return map[string]Standing{"known@example.jp": Known, "equipped@example.jp": Equipped}[m.Key()]
		},
	}
	long := strings.Repeat("あ", MaxName+1)
	for name, c := range map[string]struct{ line, problem string }{
		"no address":        {",Taro,Yamada,,,,", "3:1 no-address"},
		"no at":             {"taro.example.jp,Taro,Yamada,,,,", "3:1 no-at"},
		"two ats":           {"a@b@example.jp,Taro,Yamada,,,,", "3:1 two-ats"},
		"space":             {"ta ro@example.jp,Taro,Yamada,,,,", "3:1 space"},
		"zero width":        {"ta\u200bro@example.jp,Taro,Yamada,,,,", "3:1 space"},
		"wide":              {"ｔaro@example.jp,Taro,Yamada,,,,", "3:1 wide"},
		"wide at":           {"taro＠example.jp,Taro,Yamada,,,,", "3:1 wide"},
		"display name":      {"Taro <taro@example.jp>,Taro,Yamada,,,,", "3:1 display-name"},
		"dot":               {"taro.@example.jp,Taro,Yamada,,,,", "3:1 address"},
		"quoted local part": {`"""a b""@example.jp",Taro,Yamada,,,,`, "3:1 space"},
		"not ASCII":         {"太郎@example.jp,Taro,Yamada,,,,", "3:1 ascii"},
		"foreign domain":    {"taro@example.net,Taro,Yamada,,,,", "3:1 domain"},
		"twice":             {"GOOD1@example.jp,Taro,Yamada,,,,", "3:1 twice"},
		"number twice":      {"taro@example.jp,Taro,Yamada,,1,,", "3:5 number-twice"},
		"no name":           {"taro@example.jp,Taro,,,,,", "3:3 no-name"},
		"long name":         {"taro@example.jp," + long + ",Yamada,,,,", "3:2 long-name"},
		"line break":        {"taro@example.jp,\"Ta\tro\",Yamada,,,,", "3:2 invisible"},
		"bidi":              {"taro@example.jp,Taro,Yamada,\u202eabc,,,", "3:4 invisible"},
		"formula":           {"taro@example.jp,Taro,=cmd|' /C calc'!A0,,,,", "3:3 formula"},
		"at in name":        {"taro@example.jp,Taro,Yamada,taro@example.jp,,,", "3:4 at-in-name"},
		"language":          {"taro@example.jp,Taro,Yamada,,,,fr", "3:7 language"},
		"few cells":         {"taro@example.jp,Taro,Yamada", "3:0 cells"},
		"many cells":        {"taro@example.jp,Taro,Yamada,,,Sales, Tokyo,ja", "3:0 cells"},
		"too many cells":    {"taro@example.jp" + strings.Repeat(",", MaxCells), "3:0 too-many-cells"},
		"quote":             {`taro@example.jp,Taro "T",Yamada,,,,`, "3:2 quote"},
		"after quote":       {`taro@example.jp,"Taro" T,Yamada,,,,`, "3:2 after-quote"},
		"quote open":        {`taro@example.jp,Taro,Yamada,"山田,,,`, "3:4 after-quote"},
		"long cell":         {"taro@example.jp," + strings.Repeat("a", MaxCell+1) + ",Yamada,,,,", "3:2 long-cell"},
		"bytes":             {"taro@example.jp,T\xffro,Yamada,,,,", "3:2 encoding"},
	} {
		t.Run(name, func(t *testing.T) {
			after := fmt.Sprintf(good, 2, 2)
			if name == "quote open" {
				after = `good2@example.jp,"Taro",Yamada,,2,,` + "\n" // whose quote closes the one before
			}
			l := read(t, head+fmt.Sprintf(good, 1, 1)+c.line+"\n"+after, o)
			expect(t, "problems", told(l.Problems), c.problem)
			if len(l.People) != 2 || l.People[0].Line != 2 || l.People[1].Line != 4 {
				t.Errorf("people %v", l.People)
			}
		})
	}
	l := read(t, head+"known@example.jp,A,B,,,,\nequipped@example.jp,A,B,,,,\n", o)
	expect(t, "notices", told(l.Notices), "2:1 known", "3:1 equipped")
	if len(l.People) != 1 || !l.People[0].Known {
		t.Errorf("people %v", l.People)
	}
}

// What is wrong with the whole list.
func TestHeader(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "0:0 empty",
		"\n\n":                          "0:0 empty",
		"name,department\nTaro,Sales\n": "1:0 no-addresses",
		"email,mail\na@example.jp,b@example.jp\n": "1:2 header-twice",
		"email,\"x\na@example.jp,y\n":             "1:2 quote-open",
	} {
		l := read(t, text, Options{})
		expect(t, fmt.Sprintf("%q", text), told(l.Problems), want)
		if len(l.People) != 0 {
			t.Errorf("%q: people %v", text, l.People)
		}
	}
	l := read(t, "email,phone\na@example.jp,03\n", Options{})
	expect(t, "notices", told(l.Notices), "1:2 ignored")
	if l = read(t, "a@example.jp\nb@example.jp\n", Options{}); len(l.People) != 2 || l.People[0].Line != 1 {
		t.Errorf("addresses alone: %v %q", l.People, told(l.Problems))
	}
	for _, o := range []Options{{Encoding: "EBCDIC"}, {Separator: "|"}} {
		if _, err := ReadCSV(strings.NewReader(inEnglish), o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
	long := "email,a\n" + `x@example.jp,"` + strings.Repeat("\n", 3*MaxCell)
	expect(t, "a quote without end", told(read(t, long, Options{}).Problems)[:1], "2:2 quote-open")
}

// What was declared counts: Windows-31J that is valid UTF-8 by chance, too.
func TestDeclaredEncoding(t *testing.T) {
	raw := "email,氏名\na@example.jp,山田\n"
	if l := read(t, raw, Options{Encoding: Windows31J}); l.Encoding != Windows31J || len(l.People) == 1 && l.People[0].LocalName == "山田" {
		t.Errorf("%+v", l)
	}
}

func TestLimits(t *testing.T) {
	var b strings.Builder
	b.WriteString("email\n")
	for i := range MaxPeople + 1 {
		fmt.Fprintf(&b, "p%d@example.jp\n", i)
	}
	lines := b.String()
	l := read(t, lines, Options{})
	expect(t, "too many", told(l.Problems), fmt.Sprintf("%d:0 too-many", MaxPeople+2))
	if len(l.People) != MaxPeople {
		t.Errorf("%d people", len(l.People))
	}
	// Lines with nobody in them do not count, nor does who is there already.
	l = read(t, strings.TrimSuffix(lines, fmt.Sprintf("p%d@example.jp\n", MaxPeople))+"x\np0@example.jp\n", Options{})
	expect(t, "as many as may be", told(l.Problems), fmt.Sprintf("%d:1 no-at", MaxPeople+2), fmt.Sprintf("%d:1 twice", MaxPeople+3))
	if len(l.People) != MaxPeople {
		t.Errorf("%d people", len(l.People))
	}
	l = read(t, "email\n"+strings.Repeat("x\n", MaxProblems+5), Options{})
	if len(l.Problems) != MaxProblems || l.Unlisted != 5 {
		t.Errorf("%d problems, %d not listed", len(l.Problems), l.Unlisted)
	}
	if _, err := ReadCSV(bytes.NewReader(make([]byte, MaxBytes+1)), Options{}); err == nil {
		t.Error("more than MaxBytes was read")
	}
}

func TestLDIF(t *testing.T) {
	text := "version: 1\n# people\n\ndn: ou=people,dc=example\nobjectClass: organizationalUnit\nou: people\n\n" +
		"dn: uid=taro,ou=people\nobjectClass: inetOrgPerson\nmail: taro@exam\n ple.jp\nmail: t@example.jp\ngivenName: Taro\nsn: Yamada\n" +
		"displayName: Taro Yamada\ndisplayName;lang-ja:: " + base64.StdEncoding.EncodeToString([]byte("山田 太郎")) + "\npreferredLanguage: ja-JP\nemployeeNumber: 12\njpegPhoto:: /9j/4A==\n\n" +
		"dn: uid=nobody\nobjectClass: person\nsn: Nobody\n\n" +
		"dn: uid=link\nmail:< file:///etc/passwd\n\n" +
		"dn: uid=change\nchangetype: delete\n\n" +
		"dn: uid=broken\nmail: b@example.jp\nsn:: !!!\n\n" +
		"no attribute\n"
	l, err := ReadLDIF(strings.NewReader(text), Options{})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "problems", told(l.Problems), "21:0 no-address", "26:0 ldif-url", "29:0 ldif-change", "33:0 base64", "35:0 ldif")
	expect(t, "notices", told(l.Notices), "8:0 more-addresses")
	if len(l.People) != 1 {
		t.Fatalf("people %v", l.People)
	}
	p := l.People[0]
	if p.Address.String() != "taro@example.jp" || p.LocalName != "山田 太郎" || p.GivenName != "Taro" || p.Number != "12" || p.Language != "ja" || p.Line != 8 {
		t.Errorf("got %+v", p)
	}
}

func TestSCIM(t *testing.T) {
	user := `{"userName":"taro","name":{"givenName":"Taro","familyName":"Yamada"},"displayName":"山田 太郎","locale":"ja-JP",
 "emails":[{"value":"private@example.net","type":"home"},{"value":"taro@example.jp","type":"work"}],
 "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"12","department":"Sales"}}`
	people := func(text string) *List {
		l, err := ReadSCIM(strings.NewReader(text), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	for _, text := range []string{user, "[" + user + "]", `{"totalResults":1,"Resources":[` + user + `]}`} {
		l := people(text)
		if !l.Good() || len(l.People) != 1 {
			t.Fatalf("%q %v", told(l.Problems), l.People)
		}
		p := l.People[0]
		if p.Address.String() != "taro@example.jp" || p.Department != "Sales" || p.Number != "12" || p.Language != "ja" || p.LocalName != "山田 太郎" {
			t.Errorf("got %+v", p)
		}
	}
	l := people("{\"totalResults\": 9,\n\"Resources\": [\n{\"userName\": \"a@example.jp\"},\n{\"userName\": \"b@example.jp\", \"active\": false},\n{\"userName\": 5},\n{\"userName\": \"c\"}]}")
	expect(t, "problems", told(l.Problems), "5:0 user", "6:0 no-address")
	expect(t, "notices", told(l.Notices), "4:0 inactive", "0:0 page")
	for _, text := range []string{"x", "{}", "[{]", `{"Resources": 1}`, "["} {
		if l := people(text); len(l.Problems) == 0 || l.Problems[len(l.Problems)-1].Key != KeyJSON {
			t.Errorf("%q: %q", text, told(l.Problems))
		}
	}
	expect(t, "nothing", told(people(" \n").Problems), "0:0 empty")
}

// Every text exists in both languages, says the same arguments, and no Japanese
// one is the English one.
func TestTexts(t *testing.T) {
	kana := func(s string) bool {
		return strings.ContainsFunc(s, func(r rune) bool { return r >= 0x3040 && r <= 0x30ff })
	}
	for key, both := range Texts() {
		for i := range 2 {
			en, ja := both["en"][i], both["ja"][i]
			if en == "" || ja == "" || en == ja || kana(en) || !kana(ja) {
				t.Errorf("%s: %q, %q", key, en, ja)
			}
			for _, arg := range []string{"{0}", "{1}"} {
				if strings.Contains(en, arg) != strings.Contains(ja, arg) {
					t.Errorf("%s: %s is in one language alone", key, arg)
				}
			}
		}
	}
	p := Problem{Key: KeyTwice, Args: []string{"a@example.jp", "7"}}
	if p.What("ja") != "a@example.jp はすでに 7 行目にあります。" || p.What("de") != "a@example.jp stands in line 7 already." || p.Advice("en") == "" {
		t.Errorf("%q %q", p.What("ja"), p.What("de"))
	}
}

// SECURITY.md, row 27: no cell of ours begins a formula, and what is read back
// is what was written.
func TestNoFormula(t *testing.T) {
	var fields []string
	for _, sign := range []string{"=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"} {
		for _, before := range []string{"", " ", "\u3000", "\u200b", "\x00", "\ufeff"} {
			fields = append(fields, before+sign+"cmd|' /C calc'!A0", before+sign)
		}
	}
	fields = append(fields, `"=cmd`, `",=cmd`, "a\r\n=cmd", "'=cmd")
	for _, field := range fields {
		for place := range 3 {
			row := []string{"a", "b", "c"}
			row[place] = field
			var b bytes.Buffer
			s := NewSheet(&b)
			if err := s.Row(row...); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b.Bytes(), utf8BOM)))
			cells, err := r.Read()
			if err != nil {
				t.Fatal(err)
			}
			for _, cell := range cells {
				if shown := strings.TrimLeft(cell, " \u3000\u200b\ufeff\x00"); shown == "" || strings.ContainsAny(shown[:1], "=+-@\t\r\n") || strings.ContainsRune("＝＋－＠", []rune(shown)[0]) {
					t.Errorf("%q: the sheet has the cell %q", field, cell)
				}
			}
		}
	}
	// The problems sheet repeats what stood in the list.
	l := read(t, "email,surname\na@example.jp,=1+1\n=x,b\n", Options{})
	var b bytes.Buffer
	if err := WriteProblems(&b, l, "ja"); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), `"=`) || !strings.Contains(b.String(), `"'=`) {
		t.Errorf("the sheet of problems has a formula: %s", b.String())
	}
	if got := restored(harmless("-5")); got != "-5" {
		t.Errorf("read back %q", got)
	}
}

func FuzzRoster(f *testing.F) {
	f.Add([]byte(inEnglish))
	f.Add([]byte(inJapanese))
	f.Add([]byte("sep=;\nemail;\"x\"\"y\"\na@b.c;\"\n"))
	f.Add([]byte("dn: x\nmail: a@example.jp\n b\nsn:: eA==\n\n"))
	f.Add([]byte(`{"totalResults":2,"Resources":[{"userName":"a@example.jp","active":true}]}`))
	f.Add([]byte("email\n\x83\x81@\x81\x9f\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		lines := lineEnds(string(raw)) + 1
		for _, reader := range []func() (*List, error){
			func() (*List, error) { return ReadCSV(bytes.NewReader(raw), Options{}) },
			func() (*List, error) { return ReadLDIF(bytes.NewReader(raw), Options{}) },
			func() (*List, error) { return ReadSCIM(bytes.NewReader(raw), Options{}) },
		} {
			l, err := reader()
			if err != nil {
				continue
			}
			seen := map[string]bool{}
			for _, p := range l.People {
				if p.Address.IsZero() || seen[p.Address.Key()] || isFormula(p.Surname) || p.Line < 1 {
					t.Fatalf("person %+v", p)
				}
				seen[p.Address.Key()] = true
			}
			for _, p := range append(l.Problems, l.Notices...) {
				if p.What("en") == p.Key || p.What("ja") == p.Key || p.Line > 2*lines+1 && l.Encoding != UTF16 {
					t.Fatalf("problem %+v of %d lines", p, lines)
				}
			}
		}
	})
}
