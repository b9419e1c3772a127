package enrollment

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/validation"
)

// Problem is why somebody of a run got nothing. Its key is one of
// internal/registration's texts, or of ours.
type Problem struct {
	Key  string   `json:"key"`
	Args []string `json:"args,omitempty"`
}

// Text is what a person reads, in English or Japanese.
func (p *Problem) Text(language string) string {
	t, ours := problemTexts[p.Key]
	if !ours {
		args := make([]any, len(p.Args))
		for i, a := range p.Args {
			args[i] = a
		}
		return registration.Text(language, p.Key, args...)
	}
	text := t.en
	if language == "ja" {
		text = t.ja
	}
	if len(p.Args) > 0 {
		return text + " (" + p.Args[0] + ")"
	}
	return text
}

// The keys of our own.
const (
	keyRefused = "enrollment.refused"
	keyExpired = "enrollment.expired"
	keyState   = "enrollment.state"
	keyProof   = "enrollment.proof"
	keyProfile = "enrollment.profile"
)

var problemTexts = map[string]struct{ en, ja string }{
	keyRefused: {"The order was refused. Ask who decides about orders, and retry.", "申請が却下されました。承認者に確認してから再試行してください。"},
	keyExpired: {"The order waited too long. Retry.", "申請の期限が切れました。再試行してください。"},
	keyState:   {"The organization or the order does not allow it now.", "組織または申請の状態により、いまは発行できません。"},
	keyProof:   {"The mailbox or the domain is not proven any more. Prove the domain again, and retry.", "メールボックスまたはドメインの確認が有効ではありません。ドメインを確認し直してから再試行してください。"},
	keyProfile: {"A certificate with these names would break the rules. Correct the names, and retry.", "この氏名では規則に合う証明書を発行できません。氏名を直してから再試行してください。"},
}

// problem says what an error means for one person; false: it is about the run,
// or the moment, and the job is tried again.
func problem(err error) (*Problem, bool) {
	if in, ok := errors.AsType[*registration.InputError](err); ok {
		args := make([]string, len(in.Args))
		for i, a := range in.Args {
			args[i] = fmt.Sprint(a)
		}
		return &Problem{in.Key, args}, true
	}
	switch {
	case errors.Is(err, validation.ErrUnproven):
		return &Problem{Key: keyProof}, true
	case errors.Is(err, issuance.ErrProfile):
		return &Problem{Key: keyProfile, Args: []string{err.Error()}}, true
	case errors.Is(err, registration.ErrState), errors.Is(err, registration.ErrForbidden):
		return &Problem{Key: keyState}, true
	}
	return nil, false
}

func (p *Problem) json() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings
	}
	return string(text)
}

func problemOf(text string) *Problem {
	var p Problem
	if text == "" || json.Unmarshal([]byte(text), &p) != nil {
		return nil
	}
	return &p
}
