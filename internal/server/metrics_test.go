package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	vm "github.com/VictoriaMetrics/metrics"
)

func TestSeries(t *testing.T) {
	for want, got := range map[string]string{
		"a":                         series("a"),
		`a{b="c"}`:                  series("a", "b", "c"),
		`a{b="\"\\\n",d="ü{},"}`:    series("a", "b", "\"\\\n", "d", "ü{},"),
		`a{b="c",d="e",f="g",h=""}`: series("a", "b", "c", "d", "e", "f", "g", "h", ""),
	} {
		want = strings.ReplaceAll(want, "\n", `\n`)
		if got != want {
			t.Errorf("%s, not %s", got, want)
		}
		if err := vm.ValidateMetric(got); err != nil {
			t.Error(err)
		}
	}
}

// TestMetricsText holds the answer to Prometheus's text format: every line a
// comment or a sample, and the type of a metric said once, ahead of its samples.
func TestMetricsText(t *testing.T) {
	m := newMetrics("1.2")
	m.begin(doorPortal)(http.MethodGet, http.StatusOK, time.Second)
	m.begin(doorRepository)(http.MethodPut, http.StatusTeapot, time.Minute)
	m.mail("sent")
	m.issued.Inc()
	m.state = func(context.Context) *vm.Set {
		set := vm.NewSet()
		set.GetOrCreateGauge(series("mailseal_ready", "check", "disk"), nil).Set(1)
		set.GetOrCreateGauge(series("mailseal_ready", "check", "clock"), nil).Set(0)
		return set
	}
	w := httptest.NewRecorder()
	m.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	sample := regexp.MustCompile(`^([a-z_]+?)(_bucket|_sum|_count)?(\{([a-z]+="[^"\\]*",?)+\})? [-+0-9.e]+$`)
	types := map[string]bool{}
	for line := range strings.Lines(w.Body.String()) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ = strings.Cut(name, " ")
			if types[name] {
				t.Errorf("the type of %s is said twice", name)
			}
			types[name] = true
			continue
		}
		if strings.HasPrefix(line, "# ") || strings.HasPrefix(line, "go_") || strings.HasPrefix(line, "process_") {
			continue
		}
		if found := sample.FindStringSubmatch(line); found == nil || !types[found[1]] && !types[found[1]+found[2]] {
			t.Errorf("no sample of a metric whose type is known: %s", line)
		}
	}
	for _, line := range []string{
		`mailseal_build_info{version="1.2"} 1`, "mailseal_certificates_issued_total 1", `mailseal_mails_total{outcome="sent"} 1`,
		`mailseal_http_requests_total{code="418",door="repository",method="other"} 1`, `mailseal_http_requests_running{door="repository"} 0`,
		`mailseal_http_request_seconds_bucket{door="portal",le="0.5"} 0`, `mailseal_http_request_seconds_bucket{door="portal",le="2.5"} 1`,
		`mailseal_ready{check="clock"} 0`, `mailseal_ready{check="disk"} 1`,
	} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("no line %s in\n%s", line, w.Body)
		}
	}
}

// TestFewScrapes: the look at the database takes time, and who asks without end
// must not occupy it.
func TestFewScrapes(t *testing.T) {
	m := newMetrics("test")
	looking, end := make(chan struct{}), make(chan struct{})
	m.state = func(context.Context) *vm.Set {
		looking <- struct{}{}
		<-end
		return vm.NewSet()
	}
	h, codes := m.handler(), make(chan int)
	ask := func() int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return w.Code
	}
	for range maxScrapes {
		go func() { codes <- ask() }()
		<-looking
	}
	if code := ask(); code != http.StatusServiceUnavailable {
		t.Errorf("status %d for one too many", code)
	}
	close(end)
	for range maxScrapes {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("status %d", code)
		}
	}
}
