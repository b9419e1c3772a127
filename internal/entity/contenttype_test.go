package entity

import (
	"errors"
	"strings"
	"testing"
)

func TestContentType(t *testing.T) {
	for _, tc := range []struct{ in, typ, param, value string }{
		{`text/plain`, "text/plain", "charset", ""},
		{`Text/HTML; Charset="utf-8"`, "text/html", "charset", "utf-8"},
		{`multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary="a b"`, "multipart/signed", "boundary", "a b"},
		{`multipart/signed; protocol=application/pkcs7-signature; boundary=----=_x`, "multipart/signed", "protocol", "application/pkcs7-signature"},
		{`multipart/signed; boundary=----=_x;`, "multipart/signed", "boundary", "----=_x"},
		{`application (a comment) / pkcs7-mime (another) ; (more) name = smime.p7m (end)`, "application/pkcs7-mime", "name", "smime.p7m"},
		{`application/pkcs7-mime; name="a\"b"`, "application/pkcs7-mime", "name", `a"b`},
		{`application/x; filename*=utf-8''%e2%82%ac%20x; filename=old`, "application/x", "filename", "\u20ac x"},
		{`multipart/mixed; boundary*0="ab"; boundary*1=cd`, "multipart/mixed", "boundary", "abcd"},
		{`multipart/mixed; boundary*0*=us-ascii'en'a%62; boundary*1=%63`, "multipart/mixed", "boundary", "ab%63"},
		{`multipart/mixed; ; boundary=x; ;`, "multipart/mixed", "boundary", "x"},
	} {
		h := Header{Fields: []Field{{Name: "Content-Type", Raw: []byte("Content-Type: " + tc.in + "\r\n")}}}
		m, err := h.ContentType()
		if err != nil {
			t.Errorf("%s: %v", tc.in, err)
		} else if m.Type != tc.typ || m.Parameter(tc.param) != tc.value {
			t.Errorf("%s: %s, %s=%q", tc.in, m.Type, tc.param, m.Parameter(tc.param))
		}
	}
	if m, err := (Header{}).ContentType(); m.Type != "text/plain" || err != nil {
		t.Errorf("no field: %v %v", m, err)
	}
}

func TestContentTypeAmbiguous(t *testing.T) {
	for _, in := range []string{
		``,
		`multipart`,
		`multipart/`,
		`/signed`,
		`multipart/signed boundary=x`,
		`multipart/signed; boundary`,
		`multipart/signed; boundary=`,
		`multipart/signed; boundary="x`,
		`multipart/signed (x; boundary=y`,
		`multipart/signed; boundary=a; boundary=b`,
		`multipart/signed; boundary=a; BOUNDARY=a`,
		`multipart/signed; boundary=a; boundary*=utf-8''b`,
		`multipart/signed; boundary=a; boundary*0=b`,
		`multipart/signed; boundary*0=a; boundary*2=b`,
		`multipart/signed; boundary*0=a; boundary*00=b`,
		`multipart/signed; boundary*0=a; boundary*0*=utf-8''b`,
		`multipart/signed; boundary*=a`,
		`multipart/signed; boundary*=utf-8''%4`,
		`multipart/signed; boundary="a" b`,
	} {
		h := Header{Fields: []Field{{Name: "Content-Type", Raw: []byte("Content-Type: " + in + "\r\n")}}}
		if m, err := h.ContentType(); !errors.Is(err, ErrAmbiguous) {
			t.Errorf("%s: %v, %v", in, m, err)
		}
	}
	h := read(t, "Content-Type: text/plain\r\ncontent-type: text/plain\r\n\r\n").Header
	if _, err := h.ContentType(); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("two fields: %v", err)
	}
	many := "x/y" + strings.Repeat("; a=b", 100)
	if _, err := parseMediaType(many, true); err == nil {
		t.Error("many parameters")
	}
	if _, err := parseMediaType("x/y "+strings.Repeat("(", 1000), true); !errors.Is(err, ErrLimit) {
		t.Errorf("deep comments: %v", err)
	}
}

func TestTransferEncoding(t *testing.T) {
	for in, want := range map[string]Encoding{
		"":                                    SevenBit,
		"Content-Transfer-Encoding: BASE64\n": Base64,
		"Content-Transfer-Encoding: base64 (x) ;\n":                              Base64,
		"Content-Transfer-Encoding: quoted-printable\n":                          QuotedPrintable,
		"Content-Transfer-Encoding: x-uuencode\n":                                "",
		"Content-Transfer-Encoding: base64 7bit\n":                               "",
		"Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: base64\n": "",
	} {
		got, err := read(t, in+"\nbody").Header.TransferEncoding()
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func FuzzContentType(f *testing.F) {
	f.Add(`multipart/signed; protocol="application/pkcs7-signature"; boundary*0*=us-ascii'en'a%62; boundary*1=c`)
	f.Fuzz(func(t *testing.T, v string) {
		m, err := parseMediaType(v, true)
		if err == nil && !strings.Contains(m.Type, "/") {
			t.Fatalf("type %q", m.Type)
		}
		if err != nil && !errors.Is(err, ErrAmbiguous) && !errors.Is(err, ErrLimit) {
			t.Fatal(err)
		}
	})
}
