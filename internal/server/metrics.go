package server

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	vm "github.com/VictoriaMetrics/metrics"
)

// metrics are what Prometheus reads. Every label has a fixed set of values that
// nobody outside can add to: doors, methods, status codes, outcomes.
type metrics struct {
	set    *vm.Set
	issued *vm.Counter                       // certificates, by this process
	state  func(ctx context.Context) *vm.Set // of the rooms, when it is asked for; nil for none
}

// requestBuckets are the times, in seconds, below which answers are counted.
var requestBuckets = []float64{.001, .005, .025, .1, .5, 2.5, 10, 60}

func newMetrics(version string) *metrics {
	vm.ExposeMetadata(true) // types, for Prometheus; a switch of the whole process
	m := &metrics{set: vm.NewSet()}
	m.issued = m.set.NewCounter("mailseal_certificates_issued_total")
	m.set.NewGauge(series("mailseal_build_info", "version", version), func() float64 { return 1 })
	return m
}

// series names one series of a metric: labels and values by turns.
func series(name string, labels ...string) string {
	var b strings.Builder
	b.WriteString(name)
	for i := 0; i < len(labels); i += 2 {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(labels[i] + `="`)
		labelEscapes.WriteString(&b, labels[i+1])
		b.WriteByte('"')
	}
	if len(labels) > 0 {
		b.WriteByte('}')
	}
	return b.String()
}

// labelEscapes are those of Prometheus's text format.
var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// begin counts a request that came in; the function that it returns counts its
// answer.
func (m *metrics) begin(door string) func(method string, code int, took time.Duration) {
	running := m.set.GetOrCreateGauge(series("mailseal_http_requests_running", "door", door), nil)
	running.Inc()
	return func(method string, code int, took time.Duration) {
		running.Dec()
		m.set.GetOrCreateCounter(series("mailseal_http_requests_total", "code", strconv.Itoa(code), "door", door, "method", methodOf(method))).Inc()
		m.set.GetOrCreatePrometheusHistogramExt(series("mailseal_http_request_seconds", "door", door), requestBuckets).Update(took.Seconds())
	}
}

// mail counts what became of one: sent, deferred, refused.
func (m *metrics) mail(outcome string) {
	m.set.GetOrCreateCounter(series("mailseal_mails_total", "outcome", outcome)).Inc()
}

// methodOf is one of few: a client can invent methods without end.
func methodOf(method string) string {
	if slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions}, method) {
		return method
	}
	return "other"
}

const (
	// maxScrapes is how many answers are made at a time, and scrapeTimeout bounds
	// the look at the database for one of them.
	maxScrapes    = 4
	scrapeTimeout = 5 * time.Second
)

func (m *metrics) handler() http.Handler {
	free := make(chan struct{}, maxScrapes)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case free <- struct{}{}:
			defer func() { <-free }()
		default:
			http.Error(w, "metrics are being read by others; ask again later", http.StatusServiceUnavailable)
			return
		}
		var text bytes.Buffer
		m.set.WritePrometheus(&text)
		if m.state != nil {
			ctx, cancel := context.WithTimeout(r.Context(), scrapeTimeout)
			defer cancel()
			m.state(ctx).WritePrometheus(&text)
		}
		vm.WriteProcessMetrics(&text)
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(text.Bytes())
	})
}

// stateMetrics looks into the rooms.
func (s *system) stateMetrics(ctx context.Context) *vm.Set {
	set := vm.NewSet()
	gauge := func(v float64, name string, labels ...string) {
		set.GetOrCreateGauge(series(name, labels...), nil).Set(v)
	}
	state := s.state(ctx)
	for _, check := range state.checks { // 1 for each check of /readyz that passes
		value := 0.0
		if check.err == nil {
			value = 1
		}
		gauge(value, "mailseal_ready", "check", check.name)
	}
	// Seconds since 1970: when the newest revocation list of an authority ends, and
	// when a certificate of the installation itself.
	const listEnds, certificateEnds = "mailseal_crl_next_update_seconds", "mailseal_certificate_end_seconds"
	for _, a := range state.authorities {
		gauge(float64(a.crlEnds.Unix()), listEnds, "authority", a.name)
		gauge(float64(a.ends.Unix()), certificateEnds, "certificate", a.name)
	}
	if s.certificates != nil {
		if ends := s.certificates.notAfter(); !ends.IsZero() {
			gauge(float64(ends.Unix()), certificateEnds, "certificate", "tls")
		}
	}
	if state.mailsKnown { // those that the relay has not taken yet
		gauge(float64(state.mailsWaiting), "mailseal_mails_waiting")
	}
	for _, j := range state.jobs { // those to be done, and those that were given up
		gauge(float64(j.Open), "mailseal_jobs", "kind", j.Kind, "state", "open")
		gauge(float64(j.Dead), "mailseal_jobs", "kind", j.Kind, "state", "dead")
	}
	return set
}
