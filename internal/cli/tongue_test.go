package cli

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func japaneseTongue(t *testing.T) *tongue {
	t.Helper()
	ja, err := loadTongue("ja")
	if err != nil {
		t.Fatal(err)
	}
	return ja
}

// spoken are the files whose sentences a verdict may print. Those that make
// messages, and print errors to who made them, are left out.
var spoken = []string{
	"verdict.go", "sheet.go", "cms_verify.go", "cert_verify.go", "verify.go", "opened.go", "open.go", "online.go", "learn.go", "receipt_verify.go",
	"sign.go", "seal.go", "encrypt.go", "decrypt.go", "plan.go", "recipients.go", "output.go", "input.go", "identities.go", "passphrase.go",
	"evidence.go", "../../cades/assess.go", "../../cades/raise.go", "../../evidence/evidence.go", "../../evidence/seal.go", "../../evidence/manifest.go", "../../evidence/record.go",
	"timestamp.go", "headerflags.go", "profile.go", "trust.go", "sender.go", "renewal.go", "receipt.go", "receipt_make.go",
	"../../smime/*.go", "../../certpath/*.go", "../../revocation/*.go",
	"../../cms/cms.go", "../../cms/signerinfo.go", "../../cms/signingcertificate.go",
	"../../internal/signature/signature.go", "../../internal/signature/pss.go", "../../internal/entity/header.go",
	"../../cades/proof.go",
}

var unspoken = regexp.MustCompile(`_test\.go$|smime/(headerprotection|legacydisplay|certsonly|makereceipt|message|spool)\.go$`)

// TestEveryTextIsTranslated looks for a sentence of the code that no Japanese text
// contains. A sentence is a string with a space that is not in a flag's or command's
// description; what is put together from pieces has a text that contains each of them.
func TestEveryTextIsTranslated(t *testing.T) {
	ja := japaneseTongue(t)
	var keys []string
	for key := range ja.texts {
		keys = append(keys, key)
	}
	found := 0
	for _, glob := range spoken {
		files, err := filepath.Glob(glob)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", glob, err)
		}
		for _, file := range files {
			if unspoken.MatchString(file) {
				continue
			}
			for _, text := range sentencesOf(t, file) {
				found++
				if !slices.ContainsFunc(keys, func(key string) bool { return strings.Contains(key, text) }) {
					t.Errorf("%s: no Japanese for %q", file, text)
				}
			}
		}
	}
	if found < 200 {
		t.Errorf("only %d sentences found", found)
	}
}

// silent are calls whose strings are no part of a verdict.
var silent = []string{"StringVar", "StringArrayVar", "BoolVar", "StringVarP", "Format", "ContainsRune", "Replace", "NewReplacer", "Parse", "IntVar", "BoolVarP", "addProfileFlag", "writeStrings"}

// inner are messages to a programmer who calls the library wrongly, names of
// algorithms, labels of a command line, and what the ASN.1 of a broken message should
// have been: that stays in English behind "the structure is broken", for who mends it.
var inner = regexp.MustCompile(`Options|Spool|^(smime: )?(make|spool|read) |^[-\s:;,.()\[\]{}%]*$|MIME-Version|Content-|\x1b` +
	`|^\w+(-\w+)? with $|^which decide|mailseal inspect$|^(bad|reason) |needs the whole|TSTInfo|no chain to check|^encode |detached|eContent` +
	`|element| is (not an?|wanted|\{\})|^end of|SEQUENCE|OCTET|^identifier of|^issuer and|^\{\}, by|protected \{\}\{\}$|bytes|fields$` +
	"|^`ID`|^\\{\\} \\*\\{\\}|^\\{\\} in \\{\\}$|assphrase for $|^The same once|=false refuses|RSA PKCS|micalg=|random boundary")

var verbs = regexp.MustCompile(`%[-+# 0-9.]*[a-zA-Z]`)

func sentencesOf(t *testing.T, file string) (list []string) {
	t.Helper()
	syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.KeyValueExpr: // of a cobra.Command: help is in English
			key, ok := n.Key.(*ast.Ident)
			return !ok || !slices.Contains([]string{"Use", "Short", "Long", "Example"}, key.Name)
		case *ast.CallExpr:
			name := ""
			switch f := n.Fun.(type) {
			case *ast.Ident:
				name = f.Name
			case *ast.SelectorExpr:
				name = f.Sel.Name
			}
			return !slices.Contains(silent, name)
		case *ast.BasicLit:
			if n.Kind != token.STRING {
				return false
			}
			text, err := strconv.Unquote(n.Value)
			if err != nil {
				t.Fatal(err)
			}
			text = verbs.ReplaceAllString(text, "{}")
			text = strings.NewReplacer("smime: ", "", "cms: ", "", "cades: ", "", "evidence: ", "").Replace(text) // as smime does
			text = strings.TrimPrefix(text, "{}: ")
			if strings.Contains(strings.TrimSpace(text), " ") && !inner.MatchString(text) {
				list = append(list, text)
			}
		}
		return true
	})
	return list
}

// TestTranslationsFit: no text without words, and every blank of the English one is
// in the Japanese one.
func TestTranslationsFit(t *testing.T) {
	for key, text := range japaneseTongue(t).texts {
		if strings.TrimSpace(text) == "" {
			t.Errorf("%q has no text", key)
		}
		if got, want := len(blank().FindAllString(text, -1)), strings.Count(key, "{}"); got > want || got < want && !strings.Contains(key, "; the protected") {
			t.Errorf("%q has %d blanks, %q has %d", key, want, text, got)
		}
	}
	var again map[string]string
	if err := json.Unmarshal(japanese, &again); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(japanese), "\n  \""); n != len(again) {
		t.Errorf("%d lines, %d texts: one is there twice", n, len(again))
	}
}

func TestTranslate(t *testing.T) {
	ja := japaneseTongue(t)
	for text, want := range map[string]string{
		"signature does not fit the content: the content was changed after signing":                                  "署名が内容と一致しません：署名のあとで内容が書き換えられています",
		"the certificate does not name bob@example.com":                                                              "証明書に bob@example.com が記載されていません",
		"no path: certificate CN=Bob,O=X: no trusted authority issued it: issuer CN=Root":                            "信頼できる認証局につながりません：証明書 CN=Bob,O=X：信頼する認証局が発行したものではありません（発行者 CN=Root）",
		"the certificate does not name a@b; RSA with SHA-1 can be forged":                                            "証明書に a@b が記載されていません。RSA with SHA-1 は偽造できます",
		"there is text behind the signed part; it is not signed and not shown; RSA with SHA-1 can be forged":         "署名された部分のあとに文章があります。署名されておらず、表示もしません。RSA with SHA-1 は偽造できます",
		"revocation of certificate CN=Bob is not known: the OCSP response is out of date since 2026-01-01T00:00:00Z": "証明書 CN=Bob の失効状態が分かりません：OCSP応答は 2026-01-01T00:00:00Z に期限が切れています",
		"a sentence of somebody else": "a sentence of somebody else",
	} {
		if got := ja.translate(text); got != want {
			t.Errorf("%q\ngot  %q\nwant %q", text, got, want)
		}
		if got := (&tongue{}).translate(text); got != text {
			t.Errorf("English changed: %q", got)
		}
	}
}

// TestTranslateIsBounded: what a stranger writes into a certificate costs no time.
func TestTranslateIsBounded(t *testing.T) {
	ja := japaneseTongue(t)
	for _, piece := range []string{"no path: certificate ", ": ", "; ", "layer 1: "} {
		ja.translate(strings.Repeat(piece, maxSentences/len(piece)))
	}
}

func TestChosenLanguage(t *testing.T) {
	for _, tc := range []struct {
		flag string
		env  map[string]string
		want string
	}{
		{"", nil, "en"},
		{"", map[string]string{"LANG": "ja_JP.UTF-8"}, "ja"},
		{"", map[string]string{"LANG": "ja_JP.UTF-8", "LC_ALL": "C"}, "en"},
		{"", map[string]string{"LANG": "ja_JP.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, "en"},
		{"", map[string]string{"LC_ALL": "de_DE.UTF-8", "MAILSEAL_LANG": "ja"}, "ja"},
		{"", map[string]string{"LANG": "ja_JP.eucJP"}, "en"},
		{"", map[string]string{"LANG": "ja-JP"}, "ja"},
		{"", map[string]string{"LANG": "de_DE.UTF-8"}, "en"},
		{"en", map[string]string{"LANG": "ja_JP.utf8"}, "en"},
		{"ja", nil, "ja"},
	} {
		p := &program{language: tc.flag, env: Environment{LookupEnv: func(key string) (string, bool) { v, ok := tc.env[key]; return v, ok }}}
		if got := p.chosenLanguage(); got != tc.want {
			t.Errorf("%q, %v: %s, want %s", tc.flag, tc.env, got, tc.want)
		}
	}
}
