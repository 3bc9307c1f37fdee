package main

import (
	"encoding/json"
	"net/http"
	"time"
)

// Health endpoints: live says the process runs, ready that it takes requests, health that each service works. The
// paths of LocalStack answer too, because tools wait for them.

// serviceHealth is the answer of health, in the shape LocalStack made common.
type serviceHealth struct {
	Services map[string]string `json:"services"`
	Edition  string            `json:"edition"`
	Version  string            `json:"version"`
	Error    string            `json:"error,omitempty"`
}

// nodeInfo is the answer of info.
type nodeInfo struct {
	buildInfo
	StartedAt     time.Time `json:"started_at"`
	UptimeSeconds float64   `json:"uptime_seconds"`
	Data          string    `json:"data"`
	Ephemeral     bool      `json:"ephemeral"`
	Durability    string    `json:"durability"`
	Auth          string    `json:"auth"`
	HTTP          string    `json:"http"`
	TLS           string    `json:"tls,omitempty"`
	Native        string    `json:"native,omitempty"`
	Account       string    `json:"account"`
	Region        string    `json:"region"`
}

// mountHealth adds the endpoints to the front door.
func (n *node) mountHealth(handle func(pattern string, h http.Handler)) {
	live := func() (int, any) { return http.StatusOK, map[string]string{"status": "live"} }
	for path, answer := range map[string]func() (int, any){
		"/_shardmill/live":    live,
		"/_shardmill/ready":   n.readiness,
		"/_shardmill/health":  n.health,
		"/_shardmill/info":    n.info,
		"/_localstack/health": n.health,
		"/health":             n.health,
	} {
		handle("GET "+path, jsonHandler(answer))
	}
}

func jsonHandler(answer func() (int, any)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		status, v := answer()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v) // the client is gone: nobody left to tell
	})
}

func (n *node) readiness() (int, any) {
	if !n.ready.Load() || n.brokenErr() != nil {
		return http.StatusServiceUnavailable, map[string]string{"status": "not ready"}
	}
	return http.StatusOK, map[string]string{"status": "ready"}
}

func (n *node) health() (int, any) {
	h := serviceHealth{Services: map[string]string{"kinesis": "running"}, Edition: "shardmill", Version: releaseVersion}
	if n.items != nil {
		for _, name := range neighbourNames() {
			h.Services[name] = "running"
		}
		if n.items.Err() != nil {
			h.Services["dynamodb"] = "error"
		}
	}
	if err := n.brokenErr(); err != nil {
		h.Services["kinesis"], h.Error = "error", err.Error()
		return http.StatusServiceUnavailable, h
	}
	return http.StatusOK, h
}

func (n *node) info() (int, any) {
	auth := off
	if len(n.keys) > 0 {
		auth = "keys"
	}
	return http.StatusOK, nodeInfo{
		buildInfo: thisBuild(), StartedAt: n.started.UTC(), UptimeSeconds: time.Since(n.started).Seconds(),
		Data: n.dir, Ephemeral: n.opts.Ephemeral, Durability: n.opts.Durability, Auth: auth,
		HTTP: n.httpAddr, TLS: n.tlsAddr, Native: n.nativeAddr, Account: n.opts.Account, Region: n.opts.Region,
	}
}

// brokenErr asks the engine itself, so that health does not lag behind the watcher.
func (n *node) brokenErr() error {
	if err := n.broken.Load(); err != nil {
		return *err
	}
	if n.engine == nil {
		return nil
	}
	return n.engine.Err()
}
