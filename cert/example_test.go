package cert_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"os"

	"github.com/mailseal/mailseal/cert"
)

func ExampleParseAll() {
	data, err := os.ReadFile("testdata/alice.pem")
	if err != nil {
		fmt.Println(err)
		return
	}
	list, err := cert.ParseAll(data)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range list {
		fmt.Println(c.Subject, "issued by", c.Issuer, "for", c.Emails())
	}
	fmt.Println("signature right:", list[0].CheckSignatureFrom(list[1]) == nil)
	// Output:
	// CN=alice@example.com issued by CN=Test Issuing,O=Example for [alice@example.com]
	// CN=Test Issuing,O=Example issued by CN=Test Root,O=Example for []
	// signature right: true
}

func ExampleCreateRequest() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	der, err := cert.CreateRequest(rand.Reader, key, &cert.RequestTemplate{Emails: []string{"alice@example.com"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	request, err := cert.ParseRequest(der) // checks that the sender has the key
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(request.Emails())
	// Output: [alice@example.com]
}
