package cli_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestVerdictsInJapanese prints verdicts of every kind in Japanese and looks for words
// that stayed English; names, addresses, algorithms and options are what they are.
func TestVerdictsInJapanese(t *testing.T) {
	dir := fixtureFolder(t)
	for _, line := range []string{
		"sign --as alice.p12 -o signed.eml letter.eml",
		"sign --as bob.p12 -o forged.eml letter.eml",
		"sign --as mal.p12 -o stranger.eml letter.eml",
		"seal --as alice.p12 --to bob.pem -o sealed.eml letter.eml",
		"encrypt --to bob.pem -o closed.eml letter.eml",
		"cms sign --as alice.p12 -o signed.p7m letter.eml",
	} {
		if _, stderr, exit := mailseal(t, dir, strings.Fields(line)...); exit != 0 {
			t.Fatalf("%s: %s", line, stderr)
		}
	}
	signed, err := os.ReadFile(dir + "/signed.eml")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"altered.eml": {"noon", "nine"},
		"twice.eml":   {"From: Alice", "From: Bob <bob@example.com>\r\nFrom: Alice"},
		"footer.eml":  {"--\r\n", "--\r\nand this\r\n"},
	} {
		changed := strings.Replace(string(signed), change[0], change[1], 1)
		if name == "footer.eml" {
			changed = string(signed) + "buy now\r\n"
		}
		if err := os.WriteFile(dir+"/"+name, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	names := regexp.MustCompile(`[\w.+-]+@[\w.-]+|(CN|O|OU)=[^,：）]*|--?[a-z]+( ID| FILE)?|mailseal( [a-z]+)?|\w+\.(eml|p7m|p12|pem)|(RSA|ECDSA) with SHA-256|aes-256-cbc|UTC|RFC [0-9]+|S/MIME|SHA-256|RSA|From|Lunch|Alice|MiB|keyUsage|[0-9TZ:.-]{10,}`)
	word := regexp.MustCompile(`[A-Za-z]{2,}`)
	for _, line := range []string{
		"verify --trust root.pem letter.eml", "verify --trust root.pem signed.eml", "verify --trust root.pem forged.eml",
		"verify --trust root.pem stranger.eml", "verify --trust root.pem sealed.eml", "verify --trust root.pem altered.eml",
		"verify --trust root.pem twice.eml", "verify --trust root.pem footer.eml",
		"verify --trust root.pem --crl root.crl --crl revoked.crl signed.eml", "verify --trust root.pem --crl root.crl signed.eml",
		"verify --trust root.pem --at 2040-01-01T00:00:00Z signed.eml", "verify --trust root.pem --from bob@example.com signed.eml",
		"open --trust root.pem --as bob.p12 sealed.eml -o out.eml", "open --trust root.pem --as bob.p12 closed.eml -o out.eml",
		"open --trust root.pem --as carol.p12 closed.eml -o out.eml",
		"cms verify --trust root.pem --intermediates issuing.pem signed.p7m", "cms verify --trust stranger.pem signed.p7m", "cms verify --no-trust signed.p7m",
		"cert verify --trust root.pem --intermediates issuing.pem alice.pem", "cert verify --trust stranger.pem alice.pem",
		"cert verify --trust root.pem --intermediates issuing.pem ended.pem",
	} {
		stdout, stderr, exit := mailseal(t, dir, append([]string{"--lang", "ja"}, strings.Fields(line)...)...)
		text := strings.ReplaceAll(stdout+stderr, dir+"/", "")
		if exit > 1 || text == "" {
			t.Fatalf("%s: %d %s", line, exit, text)
		}
		if english := word.FindAllString(names.ReplaceAllString(text, ""), -1); english != nil {
			t.Errorf("%s: English %q in\n%s", line, english, text)
		}
	}
}
