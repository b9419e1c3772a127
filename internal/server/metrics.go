package server

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what Prometheus reads. Every label has a fixed set of values that
// nobody outside can add to: doors, methods, status codes, outcomes.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	running  *prometheus.GaugeVec
	issued   prometheus.Counter
	mails    *prometheus.CounterVec
}

func newMetrics(version string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailseal_http_requests_total", Help: "Requests answered.",
		}, []string{"door", "method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mailseal_http_request_seconds", Help: "How long answers took.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 60},
		}, []string{"door"}),
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mailseal_http_requests_running", Help: "Requests being answered.",
		}, []string{"door"}),
		issued: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailseal_certificates_issued_total", Help: "Certificates issued by this process.",
		}),
		mails: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailseal_mails_total", Help: "What became of mails: sent, deferred, refused.",
		}, []string{"outcome"}),
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mailseal_build_info", Help: "Always 1.", ConstLabels: prometheus.Labels{"version": version},
	}, func() float64 { return 1 })
	m.registry.MustRegister(m.requests, m.seconds, m.running, m.issued, m.mails, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// begin counts a request that came in; the function that it returns counts its
// answer.
func (m *metrics) begin(door string) func(method string, code int, took time.Duration) {
	running := m.running.WithLabelValues(door)
	running.Inc()
	return func(method string, code int, took time.Duration) {
		running.Dec()
		m.requests.WithLabelValues(door, methodOf(method), strconv.Itoa(code)).Inc()
		m.seconds.WithLabelValues(door).Observe(took.Seconds())
	}
}

// methodOf is one of few: a client can invent methods without end.
func methodOf(method string) string {
	if slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions}, method) {
		return method
	}
	return "other"
}

func (m *metrics) handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError), MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
	})
}

// stateMetrics is read from the rooms when Prometheus asks.
type stateMetrics struct {
	s                          *system
	ready, crl, ends, mailWait *prometheus.Desc
}

// scrapeTimeout bounds the look at the database for one answer.
const scrapeTimeout = 5 * time.Second

func newStateMetrics(s *system) *stateMetrics {
	return &stateMetrics{
		s:        s,
		ready:    prometheus.NewDesc("mailseal_ready", "1 for each check of /readyz that passes.", []string{"check"}, nil),
		crl:      prometheus.NewDesc("mailseal_crl_next_update_seconds", "When the newest revocation list ends, as seconds since 1970.", []string{"authority"}, nil),
		ends:     prometheus.NewDesc("mailseal_certificate_end_seconds", "When a certificate of the installation itself ends, as seconds since 1970.", []string{"certificate"}, nil),
		mailWait: prometheus.NewDesc("mailseal_mails_waiting", "Mails that the relay has not taken yet.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *stateMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.ready, m.crl, m.ends, m.mailWait} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (m *stateMetrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	state := m.s.state(ctx)
	for _, check := range state.checks {
		value := 0.0
		if check.err == nil {
			value = 1
		}
		gauge(m.ready, value, check.name)
	}
	for _, a := range state.authorities {
		gauge(m.crl, float64(a.crlEnds.Unix()), a.name)
		gauge(m.ends, float64(a.ends.Unix()), a.name)
	}
	if m.s.certificates != nil {
		if ends := m.s.certificates.notAfter(); !ends.IsZero() {
			gauge(m.ends, float64(ends.Unix()), "tls")
		}
	}
	if state.mailsKnown {
		gauge(m.mailWait, float64(state.mailsWaiting))
	}
}
