package smime_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/smime"
)

// people are Alice and Bob with certificates of an authority of their own, and the current time.
var people = testca.New(new(testing.T))

func Example() {
	alice, bob := people.Leaf("alice@example.com", testca.P256), people.Leaf("bob@example.org", testca.P256)
	mail := "From: Alice <alice@example.com>\r\nTo: Bob <bob@example.org>\r\nSubject: Lunch\r\n" +
		"Date: Mon, 01 Jun 2026 12:00:00 +0000\r\nContent-Type: text/plain\r\n\r\nAt noon?\r\n"

	// Alice seals: signs as herself, encrypts to Bob and to herself.
	toAlice, _ := cms.NewRecipient(alice.Certificate, nil)
	toBob, _ := cms.NewRecipient(bob.Certificate, nil)
	var sealed bytes.Buffer
	err := smime.Seal(&sealed, strings.NewReader(mail), int64(len(mail)),
		&smime.SignOptions{
			Signers: []*cms.Signer{{Key: alice.Signer(), Certificate: alice.Certificate, Chain: alice.Chain}},
			Time:    testca.Now,
		},
		&smime.EncryptOptions{Recipients: []*cms.Recipient{toAlice, toBob}})
	if err != nil {
		fmt.Println(err)
		return
	}

	// Bob opens.
	message, err := smime.Open(bytes.NewReader(sealed.Bytes()), int64(sealed.Len()), &smime.OpenOptions{
		Keys:    []*cms.RecipientKey{{Key: bob.Key, Certificate: bob.Certificate}},
		Anchors: []*cert.Certificate{people.Root.Certificate},
		At:      testca.Now,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer message.Close()
	fmt.Println(message.Verdict.Verdict, message.Verdict.From, message.Verdict.Coverage)
	var content bytes.Buffer
	if err := message.WriteContent(&content); err != nil {
		fmt.Println(err)
	}
	fmt.Print(strings.ReplaceAll(content.String(), "\r\n", "\n"))
	// Output:
	// valid [alice@example.com] whole
	// From: Alice <alice@example.com>
	// To: Bob <bob@example.org>
	// Subject: Lunch
	// Date: Mon, 01 Jun 2026 12:00:00 +0000
	// MIME-Version: 1.0
	// Content-Type: text/plain
	//
	// At noon?
}

// ExamplePlanFor asks who could read a message before there is one.
func ExamplePlanFor() {
	bob, carol := people.Leaf("bob@example.org", testca.P256), people.Leaf("carol@example.org", testca.P256, testca.Expired())
	plan := smime.PlanFor([]smime.Addressee{
		{Name: "Bob", Candidates: []smime.Candidate{{Certificate: bob.Certificate, Trusted: true}}},
		{Name: "Carol", Candidates: []smime.Candidate{{Certificate: carol.Certificate, Trusted: true}}},
	}, &smime.Policy{At: testca.Now})
	for _, e := range plan.Messages[0].Entries {
		fmt.Println(e.Name, e.KeyAlgorithm, e.Missing, e.Reasons)
	}
	fmt.Println(plan.Messages[0].Cipher, plan.Complete)
	// Output:
	// Bob ECDH P-256 false []
	// Carol  true [expired]
	// aes-256-cbc false
}
