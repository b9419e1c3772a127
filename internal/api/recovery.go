package api

import (
	"encoding/pem"
	"time"

	"github.com/mailseal/mailseal/internal/recovery"
)

// keyRecovery is what administrators do. What officers do takes a person each
// time: no token holds a share.
func (h *handler) keyRecovery() []*route {
	const all = "/api/v1/organizations/{organization}/recovery"
	return []*route{
		get(all+"/officers", "getOfficers", "Who holds the shares of an organization's keys", lookers, h.officers),
		post(all+"/officers", "proposeOfficers", "Propose who holds the shares; each of them confirms in the portal, and where two decide a second member before them", managers, h.proposeOfficers).partlyWaits(),
		get(all+"/keys", "listEscrowedKeys", "The encryption keys of a person that are kept", lookers, h.escrowedKeys),
		get(all+"/requests", "listRecoveryRequests", "Requests for keys, the newest first", lookers, h.recoveryRequests),
		post(all+"/requests", "requestKeys", "Ask the officers for keys of a person", managers, h.requestKeys),
		get(all+"/requests/{request}", "getRecoveryRequest", "One request", lookers, h.recoveryRequest),
		do(all+"/requests/{request}/withdraw", "withdrawRecoveryRequest", "Take a request back", managers, h.withdrawRequest),
		do(all+"/requests/{request}/release", "releaseKeys", "Get the keys that the officers released, encrypted to the certificate of the request", managers, h.releaseKeys).files("application/json"),
	}
}

type officersOut struct {
	Active   *quorumOut `json:"active,omitempty" doc:"Left out: no key can be kept."`
	Proposed *quorumOut `json:"proposed,omitempty"`
	Keys     int        `json:"keys" doc:"That are with the active officers."`
	Former   int        `json:"former" doc:"That officers before have not handed over."`
}

type quorumOut struct {
	ID        string       `json:"id"`
	Threshold int          `json:"threshold" doc:"How many open a key."`
	Officers  []officerOut `json:"officers"`
	Approvals []string     `json:"approvals" doc:"Accounts of officers before who agree."`
}

type officerOut struct {
	Account   string     `json:"account"`
	Email     string     `json:"email,omitempty" doc:"Of the account."`
	SHA256    string     `json:"sha256" doc:"Of the certificate."`
	Confirmed *time.Time `json:"confirmed,omitempty"`
}

func quorumOf(q *recovery.Quorum) *quorumOut {
	if q == nil {
		return nil
	}
	return &quorumOut{q.ID, q.Threshold, listOf(q.Officers, "", func(o recovery.Officer) officerOut {
		return officerOut{o.Account, o.Email, o.Certificate.SHA256(), moment(o.Confirmed)}
	}).Items, each(q.Approvals)}
}

func (h *handler) officers(c *call, _ none) (officersOut, error) {
	st, err := h.Recovery.Officers(c.ctx, c.actor, c.org())
	return officersOut{quorumOf(st.Active), quorumOf(st.Proposed), int(st.Keys), int(st.Former)}, err
}

type officersIn struct {
	Threshold int         `json:"threshold,omitempty" min:"2" max:"15" doc:"How many open a key; 2 unless it says so."`
	Officers  []officerIn `json:"officers" min:"3" max:"16"`
}

type officerIn struct {
	Account     string `json:"account" min:"1" max:"64"`
	Certificate string `json:"certificate" min:"1" max:"20000" doc:"PEM: one that may be encrypted to, and whose key the officer has."`
}

type proposedOut struct {
	ID        string       `json:"id,omitempty" doc:"Left out while a second member has yet to confirm them."`
	Threshold int          `json:"threshold,omitempty" doc:"How many open a key."`
	Officers  []officerOut `json:"officers,omitempty"`
	Approvals []string     `json:"approvals,omitempty" doc:"Accounts of officers before who agree."`
	Waits     *changeOut   `json:"waits,omitempty" doc:"What a second member has yet to confirm; nobody is proposed before, and the status is 202."`
}

func (h *handler) proposeOfficers(c *call, in officersIn) (out proposedOut, err error) {
	var choices []recovery.Choice
	for _, o := range in.Officers {
		der, err := onePEM("officers", o.Certificate)
		if err != nil {
			return out, err
		}
		choices = append(choices, recovery.Choice{Account: o.Account, Certificate: der})
	}
	q, err := h.Recovery.SetOfficers(c.ctx, c.actor, c.org(), in.Threshold, choices)
	if out.Waits, err = c.waits(err); err != nil || out.Waits != nil {
		return out, err
	}
	is := quorumOf(q)
	return proposedOut{ID: is.ID, Threshold: is.Threshold, Officers: is.Officers, Approvals: is.Approvals}, nil
}

// onePEM reads one certificate.
func onePEM(field, text string) ([]byte, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, &fieldError{field, "must have a certificate in PEM"}
	}
	return block.Bytes, nil
}

type keysQuery struct {
	Person string `json:"person" min:"1" max:"64"`
}

type escrowedOut struct {
	ID           string   `json:"id"`
	Key          string   `json:"key" doc:"SHA-256 of the public key."`
	Officers     string   `json:"officers" doc:"The id of the set of officers who have the shares."`
	Former       bool     `json:"former" doc:"They are with officers before."`
	Certificates []string `json:"certificates" doc:"PEM"`
}

func (h *handler) escrowedKeys(c *call, q keysQuery) (list[escrowedOut], error) {
	all, err := h.Recovery.Keys(c.ctx, c.actor, c.org(), q.Person)
	return listOf(all, "", func(k recovery.Key) escrowedOut {
		return escrowedOut{k.ID, k.Key, k.Quorum, k.Former, pems(k.Certificates)}
	}), err
}

type requestOut struct {
	ID        string        `json:"id"`
	Person    string        `json:"person" doc:"Whose keys."`
	Requester string        `json:"requester"`
	Recipient string        `json:"recipient" doc:"PEM: the certificate that the keys are encrypted to."`
	Reason    string        `json:"reason"`
	State     string        `json:"state" enum:"open,ready,released,refused,withdrawn,expired"`
	Keys      []string      `json:"keys" doc:"SHA-256 of the public keys."`
	Threshold int           `json:"threshold"`
	Decisions []decisionOut `json:"decisions"`
	Created   time.Time     `json:"created"`
	Expires   time.Time     `json:"expires"`
	Released  *time.Time    `json:"released,omitempty"`
}

type decisionOut struct {
	Account string    `json:"account"`
	Given   bool      `json:"given"`
	At      time.Time `json:"at"`
}

func requestOf(r *recovery.Request) requestOut {
	if r == nil {
		return requestOut{}
	}
	return requestOut{
		r.ID, r.Person, r.Requester, string(r.Recipient.PEM()), r.Reason, string(r.State), each(r.Keys), r.Threshold,
		listOf(r.Decisions, "", func(d recovery.Decision) decisionOut { return decisionOut{d.Account, d.Given, d.At.UTC()} }).Items,
		r.Created.UTC(), r.Expires.UTC(), moment(r.Released),
	}
}

func (h *handler) recoveryRequests(c *call, q paged) (list[requestOut], error) {
	limit := q.Limit
	if limit == 0 {
		limit = registrationPage
	}
	at, id, err := readCursor(q.Cursor)
	if err != nil {
		return list[requestOut]{}, err
	}
	all, err := h.Recovery.Requests(c.ctx, c.actor, c.org(), at, id, limit+1)
	next := ""
	if len(all) > limit {
		all = all[:limit]
		next = writeCursor(all[limit-1].Created, all[limit-1].ID)
	}
	return listOf(all, next, requestOf), err
}

type askIn struct {
	Person    string   `json:"person" min:"1" max:"64"`
	Keys      []string `json:"keys,omitempty" max:"64" doc:"Their ids; left out: all."`
	Recipient string   `json:"recipient" min:"1" max:"20000" doc:"PEM: your own certificate, or one of the person's."`
	Reason    string   `json:"reason" min:"10" max:"500"`
	Former    string   `json:"former,omitempty" max:"64" doc:"Ask this set of officers before, for keys that were handed over and do not open."`
}

func (h *handler) requestKeys(c *call, in askIn) (requestOut, error) {
	der, err := onePEM("recipient", in.Recipient)
	if err != nil {
		return requestOut{}, err
	}
	r, err := h.Recovery.Request(c.ctx, c.actor, c.org(), recovery.Asking{Person: in.Person, Keys: in.Keys, Recipient: der, Reason: in.Reason, Former: in.Former})
	return requestOf(r), err
}

func (h *handler) recoveryRequest(c *call, _ none) (requestOut, error) {
	r, err := h.Recovery.RequestByID(c.ctx, c.actor, c.org(), c.path("request"))
	return requestOf(r), err
}

func (h *handler) withdrawRequest(c *call, _ none) (none, error) {
	return none{}, h.Recovery.Withdraw(c.ctx, c.actor, c.org(), c.path("request"))
}

func (h *handler) releaseKeys(c *call, _ none) (file, error) {
	b, err := h.Recovery.Release(c.ctx, c.actor, c.org(), c.path("request"))
	if err != nil {
		return file{}, err
	}
	body, err := recovery.Encode(b)
	return file{"application/json", "recovered-" + b.Request + ".json", body}, err
}
