package api

import (
	"net/http"
	"net/url"
	"testing"
)

// FuzzInput holds that whatever comes as a body or as parameters is either taken
// whole or refused with a reason, and that what was taken keeps to its rules.
func FuzzInput(f *testing.F) {
	for _, body := range []string{
		`{"people":[{"surname":"X","addresses":["x@example.com"],"language":"ja"}]}`, `{"ids":["a"],"reason":"superseded"}`, `{"name":"x"}`, `[]`, `null`, `{"people":null}`,
		`{"people":[{}]}`, "{\"name\":\"\xff\"}", `{"name":1e999}`, `{"NAME":"x","name":"y"}`,
	} {
		f.Add(body, "limit=5&cursor=x&state=valid")
	}
	f.Add(`{}`, "limit=5&limit=6&expiring_before=2026-11-27T03:00:00Z&%zz")
	f.Fuzz(func(t *testing.T, body, query string) {
		var people peopleIn
		if decode([]byte(body), &people) == nil {
			if n := len(people.People); n < 1 || n > 5000 {
				t.Errorf("%d people", n)
			}
			for _, p := range people.People {
				if len(p.Addresses) == 0 || p.Language != "" && p.Language != "en" && p.Language != "ja" {
					t.Errorf("%+v", p)
				}
			}
		}
		var revoke revokeIn
		if decode([]byte(body), &revoke) == nil {
			if _, known := reasons[revoke.Reason]; !known || len(revoke.IDs) == 0 {
				t.Errorf("%+v", revoke)
			}
		}
		var domain domainIn
		if decode([]byte(body), &domain) == nil && domain.Name == "" {
			t.Error("a domain without a name")
		}
		var q peopleQuery
		r := &http.Request{URL: &url.URL{RawQuery: query}}
		values, err := url.ParseQuery(query)
		if readQuery(r, &q) == nil && (q.Limit < 0 || q.Limit > 500 || err == nil && len(values["limit"]) > 1) {
			t.Errorf("%q: %+v", query, q)
		}
		_, _, _ = readCursor(query)
	})
}
