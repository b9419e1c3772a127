package registration

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mailseal/mailseal/internal/store"
)

// What is read as settings is written and read the same, and nothing else passes.
func FuzzSettings(f *testing.F) {
	f.Add(DefaultSettings().text())
	f.Add(`{"kind":"ov","split":true,"escrow":true}`)
	f.Add(`{"colour":"red"}`)
	f.Add(`{"kind":"basic"} {}`)
	f.Add(`{"validity":1e9}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSettings([]byte(text))
		if err != nil {
			if !errors.Is(err, ErrInput) {
				t.Fatal(err)
			}
			return
		}
		again, err := ParseSettings([]byte(s.text()))
		if err != nil || again != s {
			t.Errorf("%+v became %+v, %v", s, again, err)
		}
	})
}

// A place in a list is what was written, or refused.
func FuzzPlace(f *testing.F) {
	f.Add(writePlace(time.Unix(7, 0), "id"))
	f.Add(writeOctets([]byte("tanaka"), "id"))
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		if at, id, err := readPlace(text); err == nil && text != "" && writePlace(at, id) != text {
			t.Errorf("%q is %v and %q", text, at, id)
		}
		if place, id, err := readOctets(text); err == nil && text != "" && writeOctets(place, id) != text {
			t.Errorf("%q is %x and %q", text, place, id)
		}
	})
}

// What an organization is called is text that can be seen, within bounds, and
// cleaning it once more changes nothing.
func FuzzOrganization(f *testing.F) {
	f.Add("Example K.K.", "株式会社見本", "jp", "NTRJP-7000012050002")
	f.Add("a\u202eb", "\x00", "XX", "LEIXG-529900T8BM49AURSDO55")
	f.Fuzz(func(t *testing.T, name, local, country, identifier string) {
		o, err := Organization{Name: name, LocalName: local, Country: country, Identifier: identifier}.cleaned()
		if err != nil {
			if !errors.Is(err, ErrInput) {
				t.Fatal(err)
			}
			return
		}
		again, err := o.cleaned()
		if err != nil || again != o || utf8.RuneCountInString(o.Name) > maxAttribute || strings.ContainsAny(o.Name+o.LocalName, "\x00\r\n\u202e") {
			t.Errorf("%+v, then %+v, %v", o, again, err)
		}
	})
}

// A person is found by every word of theirs, and words stay within bounds.
func FuzzPerson(f *testing.F) {
	f.Add("Taro", "Tanaka", "田中 太郎", "0042", "taro@example.jp")
	f.Add("\xff", strings.Repeat("あ", 64), "ﾀﾅｶ", "", "")
	s := &Service{}
	f.Fuzz(func(t *testing.T, given, surname, local, number, address string) {
		p, _, err := s.cleaned(PersonInput{GivenName: given, Surname: surname, LocalName: local, Number: number, Addresses: []string{address}})
		if err != nil {
			if !errors.Is(err, ErrInput) {
				t.Fatal(err)
			}
			return
		}
		list := words(memberFor(p))
		if len(list) > maxWords || len(place(p)) > maxWordOctets {
			t.Errorf("%d words, place of %d octets", len(list), len(place(p)))
		}
		for _, word := range list {
			if len(word) == 0 || len(word) > maxWordOctets {
				t.Errorf("word of %d octets", len(word))
			}
		}
	})
}

func memberFor(p PersonInput) store.Member {
	return store.Member{
		Person: store.Person{GivenName: p.GivenName, Surname: p.Surname, LocalName: p.LocalName}, Number: p.Number, Addresses: p.Addresses,
	}
}

// Every text is there in both languages, with the same blanks.
func TestTexts(t *testing.T) {
	en, ja := texts()["en"], texts()["ja"]
	for key, text := range en {
		other, has := ja[key]
		if !has || other == text || strings.Count(text, "%") != strings.Count(other, "%") {
			t.Errorf("%s: %q and %q", key, text, other)
		}
	}
	if len(en) != len(ja) || len(en) < 50 {
		t.Errorf("%d texts in English, %d in Japanese", len(en), len(ja))
	}
	for _, language := range []string{"en", "ja"} {
		if got := Text(language, "input.long", 7); !strings.Contains(got, "7") {
			t.Errorf("%q", got)
		}
		if a, err := (&Service{}).Agreement(language); err != nil || !strings.Contains(a.Text, "S/MIME") {
			t.Errorf("%+v, %v", a, err)
		}
	}
}
