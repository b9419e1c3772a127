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
	for name, text := range map[string]string{
		"old.eml": "From: alice@example.com\r\nDate: Mon, 05 Jan 2026 12:00:00 +0000\r\n\r\nHello.\r\n", "nofrom.eml": "Subject: x\r\n\r\nHello.\r\n",
	} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	names := regexp.MustCompile(`CAdES-[A-Z-]+|manifest\.sha256|\w+\.zip|ZIP|URL|B-LTA?|"[a-z0-9]+"|nobody|nowhere|http://[a-z./]+|PKCS ?#[0-9]+|PEM|DER|MAC|MAILSEAL_PASSPHRASE|[0-9a-f]{16}|compat|modern|bdew|pq|legacy-decrypt` +
		`|\[aes[a-z0-9 -]*\]|digitalSignature|ECDH( P-256)?|Date|=false|open と verify|online か off|AES-256-GCM|RSA[A-Z]+-[A-Z]+|ML-KEM|RC2|Triple-DES` +
		`|[\w.+-]+@[\w.-]+|(CN|O|OU)=[^,：）]*|--?[a-z]+( ID| FILE)?|mailseal( (book|id|receipt)? ?[a-z]+)?|\w+\.(eml|p7m|p12|pem)|(RSA|ECDSA) with SHA-256` +
		`|aes-256-cbc|UTC|RFC [0-9]+|S/MIME|SHA-256|RSA|From|Lunch|Alice|MiB|keyUsage|[0-9TZ:.-]{10,}`)
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
		// Errors, with a way out.
		"verify nothing.eml", "verify --trust letter.eml signed.eml", "verify --at noon signed.eml", "verify --from a@b@c signed.eml", "verify --revocation sometimes signed.eml",
		"verify --content - --json signed.eml", "sign letter.eml", "sign --as nobody letter.eml", "sign --as zoe@example.com letter.eml",
		"sign --as ended.p12 letter.eml", "sign --as alice.p12 --redate=false old.eml", "sign --as alice.p12 --timestamp tsa letter.eml", "sign --as alice.p12 --profile new letter.eml",
		"sign --as alice.p12 -o letter.eml letter.eml", "sign --as alice.p12 -o nowhere/x.eml letter.eml", "sign --as bob.p12 -o x.eml letter.eml", "sign --as alice.p12 -o x.eml nofrom.eml",
		"encrypt letter.eml", "encrypt --to nobody letter.eml", "encrypt --to dora@example.com letter.eml", "encrypt --to bob.pem --cipher rot13 letter.eml",
		"encrypt --to ended.pem --trust root.pem letter.eml", "encrypt --to mal.pem --trust root.pem letter.eml", "encrypt --to signs.pem --to bob.pem --plan letter.eml",
		"encrypt --to bob.pem --json letter.eml", "encrypt --to bob.pem --bcc carol.pem letter.eml", "seal --as alice.p12 letter.eml", "seal --to bob.pem letter.eml",
		"decrypt sealed.eml", "decrypt --as carol.p12 closed.eml", "decrypt --as bob.p12 signed.eml", "decrypt --as bob.p12 --passphrase-file letter.eml closed.eml",
		"evidence --trust root.pem -o record.zip signed.eml", "evidence --trust root.pem record.zip", "evidence --trust stranger.pem record.zip", "evidence --trust root.pem broken.zip",
		"evidence --trust root.pem changed.zip", "evidence --level B-T --trust root.pem -o x.zip signed.eml", "evidence --trust stranger.pem -o x.zip signed.eml", "evidence --level high signed.eml",
		"receipt make --as bob.p12 --trust stranger.pem signed.eml", "receipt verify --trust root.pem signed.eml",
	} {
		if record, err := os.ReadFile(dir + "/record.zip"); err == nil {
			put(t, dir, "broken.zip", record[:len(record)-9])
			put(t, dir, "changed.zip", []byte(strings.Replace(string(record), "To: Bob <", "To: Rob <", 1)))
		}
		stdout, stderr, exit := mailseal(t, dir, append([]string{"--lang", "ja"}, strings.Fields(line)...)...)
		text := strings.ReplaceAll(stdout+stderr, dir+"/", "")
		if text == "" {
			t.Fatalf("%s: %d %s", line, exit, text)
		}
		if english := word.FindAllString(names.ReplaceAllString(text, ""), -1); english != nil {
			t.Errorf("%s: English %q in\n%s", line, english, text)
		}
	}
}
