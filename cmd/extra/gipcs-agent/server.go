//go:build linux

package main

import (
	_ "embed"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/sysvipc/gipc/cmd/internal/explain"
)

// scanPatience is how long a client waits for a scan.
const scanPatience = 30 * time.Second

// newServer returns a server whose clients cannot hold it up.
func newServer(o *options, s *scanner, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           newHandler(o, s, log),
		TLSConfig:         o.tls,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      scanPatience + 10*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

//go:embed style.css
var style []byte

func newHandler(o *options, s *scanner, log *slog.Logger) http.Handler {
	own := prometheus.NewRegistry()
	own.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(prometheus.Gatherers{gatherer{s}, own}, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelDebug), // the scanner logs it once
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: 40,
	}))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { servePage(w, s) })
	mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		_, _ = w.Write(style) // fails if the client has gone
	})
	outside := http.NewServeMux()
	outside.Handle("/", admit(o, mux))
	outside.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { serveHealth(w, s) })
	return secured(outside)
}

// admit lets only requests with the token through. Without a token, an agent on a loopback
// address serves this machine alone.
func admit(o *options, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case o.token != nil && !o.token.admits(r):
			w.Header().Set("WWW-Authenticate", `Basic realm="gipcs-agent", charset="UTF-8"`)
			http.Error(w, "send the token as Authorization: Bearer TOKEN", http.StatusUnauthorized)
			return
		case o.token == nil && checkAddress(o.listen, false) == nil:
			if err := checkHost(r); err != nil {
				http.Error(w, err.Error(), http.StatusForbidden)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// secured adds the headers that keep a browser from loading, running or framing anything.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func serveHealth(w http.ResponseWriter, s *scanner) {
	if s.stuck(scanPatience) != nil { // the reason is in the log: anybody may ask here
		http.Error(w, "scans fail", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n")) // fails if the client has gone
}

// A gatherer gives the families of a reading to promhttp.
type gatherer struct{ *scanner }

func (g gatherer) Gather() ([]*dto.MetricFamily, error) {
	r, err := g.read(scanPatience)
	if err != nil {
		return nil, explain.Now(err)
	}
	gauge := dto.MetricType_GAUGE
	var list []*dto.MetricFamily
	for i := range r.families {
		f := &r.families[i]
		family := &dto.MetricFamily{Name: &f.Name, Help: &f.Help, Type: &gauge}
		for j := range f.Samples {
			sample := &f.Samples[j]
			m := &dto.Metric{Gauge: &dto.Gauge{Value: &sample.Value}}
			for k := range sample.Labels {
				m.Label = append(m.Label, &dto.LabelPair{Name: &sample.Labels[k].Name, Value: &sample.Labels[k].Value})
			}
			family.Metric = append(family.Metric, m)
		}
		if len(family.Metric) > 0 {
			list = append(list, family)
		}
	}
	return list, nil
}
