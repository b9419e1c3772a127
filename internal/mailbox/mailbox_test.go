package mailbox

import (
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		in, local, domain, out string
		ascii                  bool
	}{
		{"alice@example.com", "alice", "example.com", "alice@example.com", true},
		{"Alice.Smith+tag@Example.COM", "Alice.Smith+tag", "example.com", "Alice.Smith+tag@example.com", true},
		{"a@b", "a", "b", "a@b", true},
		{"!#"[1:] + "$&'*+-/=?^_`{|}~@example.org", "#$&'*+-/=?^_`{|}~", "example.org", "#$&'*+-/=?^_`{|}~@example.org", true},
		{`"alice"@example.com`, "alice", "example.com", "alice@example.com", true},
		{`"a..b."@example.com`, "a..b.", "example.com", `"a..b."@example.com`, true},
		{`".a"@example.com`, ".a", "example.com", `".a"@example.com`, true},
		{"alice@xn--bcher-kva.example", "alice", "xn--bcher-kva.example", "alice@xn--bcher-kva.example", true},
		{"alice@XN--BCHER-KVA.example", "alice", "xn--bcher-kva.example", "alice@xn--bcher-kva.example", true},
		{"alice@bücher.example", "alice", "xn--bcher-kva.example", "alice@xn--bcher-kva.example", true},
		{"用户@例え.example", "用户", "xn--r8jz45g.example", "用户@xn--r8jz45g.example", false},
		{"bücher@example.com", "bücher", "example.com", "bücher@example.com", false},
		{"a@a1.2b.c3", "a", "a1.2b.c3", "a@a1.2b.c3", true},
		{"a@\u263a.example", "a", "xn--74h.example", "a@xn--74h.example", true},
		{"a@1.example", "a", "1.example", "a@1.example", true},
		{"=?utf-8?q?a?=@example.com", "=?utf-8?q?a?=", "example.com", "=?utf-8?q?a?=@example.com", true}, // an atom, never decoded
		{strings.Repeat("a", 64) + "@example.com", strings.Repeat("a", 64), "example.com", strings.Repeat("a", 64) + "@example.com", true},
		{"a@" + strings.Repeat("b", 63) + ".example", "a", strings.Repeat("b", 63) + ".example", "a@" + strings.Repeat("b", 63) + ".example", true},
	} {
		m, err := Parse(tt.in)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.in, err)
			continue
		}
		if m.Local() != tt.local || m.Domain() != tt.domain || m.String() != tt.out || m.ASCII() != tt.ascii {
			t.Errorf("Parse(%q) = %q, %q, %q, ascii %v", tt.in, m.Local(), m.Domain(), m, m.ASCII())
		}
	}
}

// hostile are addresses that some mail program, certificate authority or
// filter has read as another one, or that are simply wrong.
var hostile = []string{
	"", "@", "a", "a@", "@b", "alice", "example.com", "a@b@c", "a@@b", "@a@b", "a@b@", `"a@b"@c`, `"a@evil.example"@example.com`,
	// white space and controls, everywhere
	" a@b", "a@b ", "a @b", "a@ b", "a b@c", "a@b c", "\ta@b", "a@b\t", "a\n@b", "a@b\n", "a@b\r\n", "\r\na@b", "a@b\r\nBcc: c@d", "a\r\n b@c",
	"a@b\x00", "a\x00@b", "\x00a@b", "a@example.com\x00.evil.example", "a\x7f@b", "a\x1b[31m@b", "a\x08@b", "a@b\x0b", "a\x0c@b", "a@b.c\n.d",
	`"a b"@c`, `" "@c`, "\"a\tb\"@c", "\"a\r\nb\"@c", "\"a\x00\"@c", "\"\r\n a\"@c",
	// quotes and quoted pairs
	`""@c`, `"@c`, `"a@c`, `a"@c`, `"a"b@c`, `a"b"@c`, `"a"."b"@c`, `a."b"@c`, `"a\"b"@c`, `"a\@b"@c`, `"a\b"@c`, `a\@b@c`, `a\b@c`, `"a"" b"@c`, `'a"@c`, `"a"@"b"`, `a@"b"`,
	// comments, groups, lists, angle brackets, display names
	"a(comment)@b", "(c)a@b", "a@b(c)", "a@(c)b", `"a(c)"@b`, "<a@b>", "A <a@b>", `"A" <a@b>`, "a@b>", "<a@b", "group:a@b;", "undisclosed:;", "a@b, c@d", "a@b,c@d", "a@b;c@d", `"a,b"@c`, `"a;b"@c`, `"a:b"@c`, `"<a>"@c`, "a,b@c", "a:b@c", "mailto:a@b", "a[b]@c",
	// routes
	"@a,@b:c@d", "@a:b@c", "<@a:b@c>", "a%b@c", "a%b%c@d", "b!a@c", "a!b!c@d", `"a%b"@c`, `"b!a"@c`, "%a@b", "a%@b",
	// dots
	".a@b", "a.@b", "a..b@c", ".@a", "..@a", "a@.b", "a@b.", "a@b..c", "a@.", "a@example.com.", "a@..", "a@example..com",
	// literals and numbers
	"a@[127.0.0.1]", "a@[IPv6:::1]", "a@[b", "a@b]", "a@[]", "a@127.0.0.1", "a@1", "a@2130706433", "a@::1", "a@example.123",
	// host syntax
	"a@-b", "a@b-", "a@b.-c", "a@b-.c", "a@b_c", "a@_b.c", "a@b/c", "a@b\\c", "a@b#c", "a@b?c", "a@b:25", "a@b%00", "a@b%c", "a@b!c", "a@b,c", "a@b;c", "a@b'c", "a@b+c", "a@b=c", "a@b*", "a@*.b", "a@b&c", "a@b~c", "a@b|c", "a@b^c", "a@b`c", "a@b{c}", "a@b$c",
	// length
	strings.Repeat("a", 65) + "@example.com", "a@" + strings.Repeat("b", 64) + ".c", "a@" + strings.Repeat("b.", 126) + "cc", strings.Repeat("a", 300), strings.Repeat("a@", 200),
	`"` + strings.Repeat("a", 64) + `"@example.com`,
	"a@" + strings.Repeat("bücher.", 20) + "example", // fits as U-labels only
	// bidi, zero width, invisible
	"a\u202eb@c", "\u202ea@b", "a\u202d@b", "a\u2066@b", "a\u2069@b", "a\u200f@b", "a\u200e@b", "a\u061c@b", "a\u200b@b", "a\u200c@b", "a\u200d@b", "a\u2060@b", "a\ufeff@b", "\ufeffa@b", "a\u00ad@b", "a\u034f@b", "a\u115f@b", "a\u3164@b", "a\uffa0@b", "a\u2800@b", "a\ufe0f@b", "a\U000e0041@b", "a\u180e@b", "a\u2028@b", "a\u2029@b", "a\u0085@b", "a\u00a0@b", "a\u3000@b", "a\u2003@b", "a\ue000@b", "a\uffff@b", "a\ufffd@b", "a\u2024b@c", "a\ufe52b@c",
	"a@b\u202e.c", "a@\u202eb", "a@b\u200b.c", "a@b\u200d.c", "a@b\u00ad.c", "a@b\ufeff", "a@b\u2060.c", "a@b\u00a0", "a@\u3000b", "a@b\u2028c",
	// second spellings of at, dot and ASCII
	"a\uff20b@c", "a\ufe6bb@c", "a\uff20b", "a\uff05b@c", "a@b\u3002c", "a@b\uff0ec", "a@b\uff61c", "a@\uff45xample.com", "a@example\u2024com", "a@\u212aelvin.example", "a@e\u0301x.example", "a@\u24d4.example", "a@\u2100.example", "a@\u2488example",
	// labels that only look like A-labels, or are not IDNA2008
	"a@xn--", "a@xn--.b", "a@xn--a.b", "a@xn--example-.com", "a@xn--\u00fc.b", "a@xn--99999999999999.b", "a@xn--bcher-kva\x00.b", "a@\u2800.example", "a@\u3164.example", "a@a\u200db.example", "a@\u115f.example", "a@B\u00dcCHER.example", "a@a\u05d0.example",
	// not UTF-8
	"a\xff@b", "\xc3@b", "a@\xff", "a\xc0\x80@b", "\"\xed\xa0\x80\"@b", "a@b\xc3", "a\xe2\x80@b",
	// shell, HTML and template bait must still be a mailbox or nothing
	"<script>@b", "a@<b>", "a@b<script>", "a@b\"", "$(id)@b",
}

func TestParseRefuses(t *testing.T) {
	for _, s := range hostile {
		m, err := Parse(s)
		if err == nil {
			t.Errorf("Parse(%q) = %q, want an error", s, m)
			continue
		}
		if !errors.Is(err, ErrSyntax) {
			t.Errorf("Parse(%q): %v does not wrap ErrSyntax", s, err)
		}
		if !m.IsZero() || m.String() != "" {
			t.Errorf("Parse(%q) gave %q beside its error", s, m)
		}
		checkHarmless(t, err.Error())
	}
}

// TestParseRefusesAnywhere puts every octet that is not allowed at each place
// of a good address.
func TestParseRefusesAnywhere(t *testing.T) {
	const good = "alice@example.com"
	const bad = "\x00\t\n\v\f\r\x1b \"%!()<>[]:;,\\@\x7f\x80\xff"
	for i := 0; i <= len(good); i++ {
		for _, c := range []byte(bad) {
			s := good[:i] + string([]byte{c}) + good[i:]
			if m, err := Parse(s); err == nil {
				t.Errorf("Parse(%q) = %q, want an error", s, m)
			}
		}
	}
}

func TestEqual(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"alice@example.com", "alice@example.com", true},
		{"Alice@Example.COM", "aLICE@example.com", true},
		{`"alice"@example.com`, "alice@example.com", true},
		{"a@bücher.example", "a@xn--bcher-kva.example", true},
		{"alice@example.com", "bob@example.com", false},
		{"alice@example.com", "alice@example.org", false},
		{"alice@example.com", "alice@sub.example.com", false},
		{"alice+tag@example.com", "alice@example.com", false},
		{"a.lice@example.com", "alice@example.com", false},
		{"\u212aim@example.com", "kim@example.com", false},            // Kelvin sign
		{"B\u00fccher@example.com", "b\u00dccher@example.com", false}, // only ASCII case folds
		{"e\u0301@example.com", "\u00e9@example.com", false},          // no normalization (RFC 9598 §5)
		{"a@ex\u0430mple.com", "a@example.com", false},                // Cyrillic a
		{"a@straße.example", "a@strasse.example", false},
		{"\u0430lice@example.com", "alice@example.com", false},
	} {
		a, err := Parse(tt.a)
		if err != nil {
			t.Fatalf("Parse(%q): %v", tt.a, err)
		}
		b, err := Parse(tt.b)
		if err != nil {
			t.Fatalf("Parse(%q): %v", tt.b, err)
		}
		if a.Equal(b) != tt.want || b.Equal(a) != tt.want {
			t.Errorf("%q equal %q: want %v", tt.a, tt.b, tt.want)
		}
		if (a.Key() == b.Key()) != tt.want {
			t.Errorf("%q and %q: keys %q and %q", tt.a, tt.b, a.Key(), b.Key())
		}
	}
	if (Mailbox{}).Equal(Mailbox{}) {
		t.Error("no address equals no address")
	}
}

// FuzzParse holds that whatever is accepted is canonical, harmless and stable.
func FuzzParse(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Add("alice@example.com")
	f.Add(`"a..b"@xn--bcher-kva.example`)
	f.Add("用户@例え.example")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := Parse(s)
		if err != nil {
			checkHarmless(t, err.Error())
			return
		}
		checkHarmless(t, m.String())
		if strings.Count(m.String(), "@") != 1 || strings.ContainsAny(m.String(), " \t\r\n\x00<>(),;:[]%!\\") {
			t.Fatalf("Parse(%q) accepted %q", s, m)
		}
		if !isASCII(m.Domain()) || len(m.String()) > MaxLength {
			t.Fatalf("Parse(%q): domain %q, length %d", s, m.Domain(), len(m.String()))
		}
		again, err := Parse(m.String())
		if err != nil || again != m || !again.Equal(m) {
			t.Fatalf("Parse(%q) = %q, again %q, %v", s, m, again, err)
		}
	})
}

func checkHarmless(t *testing.T, s string) {
	t.Helper()
	for _, r := range s {
		if r < ' ' || r == 0x7f || r >= 0x80 && !isVisible(r) {
			t.Fatalf("%q has %U", s, r)
		}
	}
}

// TestParseUnquoted: old addresses of Japanese mobile carriers.
func TestParseUnquoted(t *testing.T) {
	for in, out := range map[string]string{
		"a..b@docomo.ne.jp":       `"a..b"@docomo.ne.jp`,
		".a@docomo.ne.jp":         `".a"@docomo.ne.jp`,
		"a.@ezweb.ne.jp":          `"a."@ezweb.ne.jp`,
		"a...b.@DOCOMO.ne.jp":     `"a...b."@docomo.ne.jp`,
		`"a..b"@docomo.ne.jp`:     `"a..b"@docomo.ne.jp`,
		"alice@example.com":       "alice@example.com",
		"a.b@example.com":         "a.b@example.com",
		"j\u00fcrgen@example.com": "j\u00fcrgen@example.com",
	} {
		m, err := ParseUnquoted(in)
		if err != nil || m.String() != out {
			t.Errorf("%s: %s, %v", in, m, err)
		}
		if again, err := Parse(out); err != nil || !again.Equal(m) {
			t.Errorf("%s is not %s: %v", out, m, err)
		}
	}
	for _, in := range []string{
		"", "@docomo.ne.jp", "..@docomo.ne.jp", ".@docomo.ne.jp", "a..b@docomo..ne.jp", "a..b@docomo.ne.jp.", "a..b c@docomo.ne.jp", "a..b\x00@docomo.ne.jp",
		"a..b@c@docomo.ne.jp", "a..%b@docomo.ne.jp", "a..!b@docomo.ne.jp", `a.."b"@docomo.ne.jp`, `"a..b@docomo.ne.jp`, "a..b\u200b@docomo.ne.jp", "(a)..b@docomo.ne.jp",
		strings.Repeat("a.", 40) + "@docomo.ne.jp",
	} {
		if m, err := ParseUnquoted(in); err == nil {
			t.Errorf("%q is %s", in, m)
		}
	}
}

// TestWhy: what is wrong is said, the first thing first, with its place.
func TestWhy(t *testing.T) {
	for in, want := range map[string]string{
		"": "empty", "alice": "no at sign", "a@b@c": "more than one at sign", "@b": "empty local part", "a@": "empty domain",
		strings.Repeat("a", MaxLength-4) + "@b.cd":                                                               "longer than 254 octets",
		strings.Repeat("a", MaxLocalLength+1) + "@b":                                                             "local part longer than 64 octets",
		"a@" + strings.Repeat("b.", 120) + "bücher":                                                              "longer than 254 octets",
		`"` + strings.Repeat(".", 60) + `"@` + strings.Repeat(strings.Repeat("b", 62)+".", 3) + "bücherbücherbü": "longer than 254 octets",
		"a\xff@b":                      "local part is not UTF-8",
		"ab\u200b@c":                   "invisible or ambiguous character U+200B at octet 3",
		"ab c@d":                       "white space or control character 0x20 at octet 3",
		"ab\x7f@d":                     "white space or control character 0x7f at octet 3",
		`"ab\c"@d`:                     "quote or backslash inside the local part at octet 3",
		"ab%c@d":                       `'%' at octet 3: route addresses are not taken`,
		"ab!c@d":                       `'!' at octet 3: route addresses are not taken`,
		"ab(c)@d":                      `special character '(' at octet 3`,
		"a..b@c":                       "local part needs quotes",
		`"a@b`:                         "quoted local part without end",
		"a@[192.0.2.1]":                "address literals are not taken",
		"a@b..c":                       "empty label in the domain",
		"a@1.2.3.4":                    "the domain ends in a number",
		"a@b\u00a0c":                   "not a valid U-label",
		"a@xn--a.b":                    "starts with xn-- and is no A-label",
		"a@b_c":                        "only letters, digits and inner hyphens",
		"a@" + strings.Repeat("b", 64): "label longer than 63 octets",
	} {
		if _, err := Parse(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
	for in, want := range map[string]string{
		strings.Repeat("a.", MaxDomainLength*2+1): "domain longer than 253 octets", strings.Repeat("a.", 127) + "a": "domain longer than 253 octets",
	} {
		if _, err := ParseDomain(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
	// Whoever leaves the quotes out is told of their own text, at its own place.
	for in, want := range map[string]string{"": "empty", "a b@c": "at octet 2", `"a"b"@c`: "quote or backslash inside the local part at octet 2", "a..b c@d": "at octet 5"} {
		if _, err := ParseUnquoted(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q unquoted: %v, want %q", in, err, want)
		}
	}
}

// TestTaken: letters that stand next to those that are refused.
func TestTaken(t *testing.T) {
	for _, in := range []string{
		"\uff71\uff72@example.jp",       // half width, behind the full width forms
		"a@example.1-2", "a@example.1a", // the last label is no number
		"\uff5f@example.jp", "\ufe70@example.com", "\u2023a@example.com",
		"a@\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.example", // a joiner where Persian needs it (RFC 5892 §A.1)
		"a@\u0915\u094d\u200d\u0937.example",                   // and where Hindi does (§A.2)
		"a@" + strings.Repeat(strings.Repeat("b", 61)+".", 3) + strings.Repeat("c", 63),
	} {
		m, err := Parse(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
		} else if again, err := Parse(m.String()); err != nil || again != m {
			t.Errorf("%q became %q: %v", in, m, err)
		}
	}
	if (Mailbox{}).Key() != "" || (Mailbox{}).String() != "" {
		t.Error("no address has a key")
	}
}

// TestEdges: the first and the last of each kind of letter, and lengths to the octet.
func TestEdges(t *testing.T) {
	long := strings.Repeat("l", MaxLocalLength) + "@" + strings.Repeat(strings.Repeat("d", 62)+".", 2) + strings.Repeat("e", 63)
	for in, out := range map[string]string{
		"AZaz09~@AZ-az-09.EXAMPLE": "AZaz09~@az-az-09.example", "#@Z9": "#@z9", `"a"@Z`: "a@z", "a@9z": "a@9z", long: long,
	} {
		if m, err := Parse(in); err != nil || m.String() != out || len(long) != MaxLength {
			t.Errorf("%q: %q, %v", in, m, err)
		}
	}
	a, _ := Parse("AZ@example.com")
	if b, _ := Parse("az@example.com"); !a.Equal(b) {
		t.Error("the case of A and Z")
	}
	for _, in := range []string{"a@b.0", "a@b.9", "a@b.19", `""@c`, "a\u0080@b", "a\uff01@b", "a\uff5e@b", "a\ufe50@b", "a\ufe6b@b", long + "e", "l" + long, "a@b{", "a@b[", "a@b/", "a@b:", "a@b`"} {
		if m, err := Parse(in); err == nil {
			t.Errorf("%q is %s", in, m)
		}
	}
}

// TestLengthWithQuotes: the limit counts the quotes that String puts around, when a
// domain has grown on its way to A-labels, too.
func TestLengthWithQuotes(t *testing.T) {
	const local, typed, grown = "a..b", "ü.", "xn--tda."
	rest := MaxLength - len(local) - len(`""@`) - len(grown)
	for over := range 2 {
		in := `"` + local + `"@` + typed + strings.Repeat("a.", (rest+over-1)/2) + strings.Repeat("b", 2-(rest+over)%2)
		m, err := Parse(in)
		if (err != nil) != (over > 0) || err == nil && len(m.String()) != MaxLength {
			t.Errorf("%d octets: %q, %v", len(in), m, err)
		}
	}
}

// TestUnquotedLength: what needs no quotes is as long as it may be without them.
func TestUnquotedLength(t *testing.T) {
	for octets, want := range map[int]bool{62: true, 63: true, 64: true, 65: false} {
		in := strings.Repeat("a", octets) + "@example.com"
		m, err := ParseUnquoted(in)
		if (err == nil) != want || want && m.String() != in {
			t.Errorf("%d octets: %q, %v", octets, m, err)
		}
	}
}
