package entity

import (
	"errors"
	"strings"
	"testing"
)

func TestAddressList(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{``, ``},
		{`alice@example.com`, `alice@example.com`},
		{`<alice@example.com>`, `alice@example.com`},
		{`Alice <alice@example.com>`, `alice@example.com`},
		{`"Alice, A." <alice@EXAMPLE.com>`, `alice@example.com`},
		{`J. R. Alice <alice@example.com>, bob@example.org`, `alice@example.com bob@example.org`},
		{`alice@example.com (Alice (the first))`, `alice@example.com`},
		{`(hello) alice@example.com`, `alice@example.com`},
		{`, alice@example.com,,`, `alice@example.com`},
		{`alice@example.com <alice@example.com>`, `alice@example.com`},
		{`Alice@Example.com<alice@example.com> (x), bob@example.org`, `Alice@example.com bob@example.org`},
		{`Group: alice@example.com, Bob <bob@example.org>;`, `alice@example.com bob@example.org`},
		{`undisclosed-recipients:;`, ``},
		{`"taro..suzuki."@example.jp`, `"taro..suzuki."@example.jp`},
		{`taro..suzuki.@example.jp`, `"taro..suzuki."@example.jp`},
		{`.taro@example.jp`, `".taro"@example.jp`},
		{`"alice"@example.com`, `alice@example.com`},
		{`"al".ice@example.com`, `al.ice@example.com`},
		{`=?utf-8?Q?alice=40example.com?= <bob@example.org>`, `bob@example.org`},
		{`太郎 <taro@例え.example>`, `taro@xn--r8jz45g.example`},
	} {
		list, err := ParseAddressList(tc.in)
		var got []string
		for _, a := range list {
			got = append(got, a.Mailbox.String())
		}
		if err != nil || strings.Join(got, " ") != tc.want {
			t.Errorf("%s: %v, %v", tc.in, got, err)
		}
	}
}

func TestAddressListAmbiguous(t *testing.T) {
	for _, in := range []string{
		`alice`,
		`Alice Example`,
		`alice@example.com bob@example.org`,
		`alice@example.com <bob@example.org>`,
		`alice@example.com <alice@example.com> <alice@example.com>`,
		`alice@example.com <alice@example.com`,
		`"al\ice"@example.com`,
		`Alice <"al\ice"@example.com>`,
		`<alice@example.com> <bob@example.org>`,
		`<alice@example.com> bob@example.org`,
		`Alice <alice@example.com`,
		`Alice <alice@example.com>>`,
		`Alice <<alice@example.com>>`,
		`Alice <>`,
		`Alice < alice@example.com>`,
		`Alice <alice@example.com >`,
		`alice @example.com`,
		`alice@ example.com`,
		`alice(x)@example.com`,
		`alice@(x)example.com`,
		`alice@example(x).com`,
		`al ice@example.com`,
		`<@relay.example:alice@example.com>`,
		`alice@example.com@example.org`,
		`"alice@example.com"@example.org`,
		`"alice"x@example.org`,
		`=?utf-8?Q?alice?=@example.com`,
		`"unclosed <alice@example.com>`,
		`(unclosed alice@example.com`,
		`"a\"b"@example.com`,
		`alice@[192.0.2.1]`,
		`alice@example.com;`,
		`Group: alice@example.com`,
		`A: B: alice@example.com;;`,
		`: alice@example.com;`,
		"Alice <alice@example.com>\x00",
		"Al\x1b$Bice <alice@example.com>",
		"Alice\rFrom: <alice@example.com>",
		`@example.com`,
		`alice@`,
		`<alice>`,
	} {
		if list, err := ParseAddressList(in); !errors.Is(err, ErrAmbiguous) || list != nil {
			t.Errorf("%s: %v, %v", in, list, err)
		}
	}
	if _, err := ParseAddressList(strings.Repeat("a@example.com,", MaxAddresses+1)); !errors.Is(err, ErrLimit) {
		t.Errorf("many addresses: %v", err)
	}
}

func TestDisplay(t *testing.T) {
	for _, tc := range []struct{ in, display, pretends string }{
		{`Alice <bob@example.org>`, "Alice", ""},
		{`"alice@example.com" <bob@example.org>`, "alice@example.com", "alice@example.com"},
		{`"Alice (alice@example.com)" <bob@example.org>`, "Alice (alice@example.com)", "alice@example.com"},
		{`=?utf-8?Q?alice=40example.com?= <bob@example.org>`, "alice@example.com", "alice@example.com"},
		{`=?utf-8?B?YWxpY2VA?= =?utf-8?B?ZXhhbXBsZS5jb20=?= <bob@example.org>`, "alice@example.com", "alice@example.com"},
		{`"=?utf-8?Q?alice=40example.com?=" <bob@example.org>`, "alice@example.com", "alice@example.com"},
		{`=?iso-2022-jp?B?YWxpY2VAZXhhbXBsZS5jb20=?= <bob@example.org>`, "=?iso-2022-jp?B?YWxpY2VAZXhhbXBsZS5jb20=?=", "alice@example.com"},
		{"alice\uff20example.com <bob@example.org>", "alice\uff20example.com", "alice@example.com"},
		{`bob@example.org (alice@example.com)`, "alice@example.com", "alice@example.com"},
		{`G: Bob <bob@example.org>;`, "Bob", ""},
	} {
		list, err := ParseAddressList(tc.in)
		if err != nil || len(list) != 1 {
			t.Errorf("%s: %v, %v", tc.in, list, err)
			continue
		}
		var pretends []string
		for _, m := range list[0].DisplayedAddresses(nil) {
			pretends = append(pretends, m.String())
		}
		if list[0].Display != tc.display || strings.Join(pretends, " ") != tc.pretends {
			t.Errorf("%s: %q, %v", tc.in, list[0].Display, pretends)
		}
	}
}

func FuzzAddressList(f *testing.F) {
	f.Add(`"Alice, A." <alice@example.com>, Group: b@example.org (x);`)
	f.Add(`=?utf-8?B?YWxpY2VA?= <"a.."@example.jp>`)
	f.Fuzz(func(t *testing.T, v string) {
		list, err := ParseAddressList(v)
		for _, a := range list {
			a.DisplayedAddresses(nil)
			// What was read is an address that reads as itself.
			again, err := ParseAddressList(a.Mailbox.String())
			if err != nil || len(again) != 1 || !again[0].Mailbox.Equal(a.Mailbox) {
				t.Fatalf("%q: %v, %v", a.Mailbox, again, err)
			}
		}
		if err != nil && !errors.Is(err, ErrAmbiguous) && !errors.Is(err, ErrLimit) {
			t.Fatal(err)
		}
	})
}
