package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"
)

// weblog makes lines of a web server's access log in Apache's combined format. The same seed gives the same lines.
//
// A few clients make most of the requests (Zipf), a few pages get most of them, bots read robots.txt, and one client in
// a hundred asks for what is not there. Addresses are from the blocks reserved for documentation (RFC 5737).
type weblog struct {
	rnd     *rand.Rand
	clients *rand.Zipf
	pages   *rand.Zipf
	now     time.Time
}

const (
	weblogClients = 600 // more than 254 per documentation block times three would repeat addresses
	weblogSeed    = 20260101
)

func newWeblog(seed uint64) *weblog {
	rnd := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)) //nolint:gosec // repeatable on purpose
	return &weblog{
		rnd:     rnd,
		clients: rand.NewZipf(rnd, 1.15, 4, weblogClients-1),
		pages:   rand.NewZipf(rnd, 1.3, 2, uint64(len(weblogPages())-1)),
		now:     time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC),
	}
}

func weblogPages() []string {
	return []string{
		"/", "/products", "/products/mill-3", "/products/sieve-1", "/cart", "/blog/", "/blog/2026/grain-sizes", "/about",
		"/static/site.css", "/static/app.js", "/images/logo.svg", "/images/mill-3.jpg", "/api/v1/stock?sku=M3", "/feed.xml",
		"/search?q=stone+mill", "/blog/2025/first-shard", "/contact", "/robots.txt", "/favicon.ico", "/login",
	}
}

func weblogAgents() []string {
	return []string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 14_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
		"Mozilla/5.0 (compatible; examplebot/2.1; +http://bot.example/about)",
		"curl/8.11.0",
	}
}

// line appends the next line, without a line end, to dst.
func (g *weblog) line(dst []byte) []byte {
	g.now = g.now.Add(time.Duration(g.rnd.ExpFloat64() * float64(700*time.Millisecond)))
	client := g.clients.Uint64()
	page := weblogPages()[g.pages.Uint64()]
	agent := weblogAgents()[client%uint64(len(weblogAgents()))]
	method, status := "GET", 200
	switch dice := g.rnd.IntN(1000); {
	case dice < 18:
		page, status = page+"/old", 404
	case dice < 60:
		status = 304
	case dice < 75:
		page, status = "/blog", 301
	case dice < 105 && !strings.Contains(page, "."):
		method, page = "POST", "/cart"
	case dice < 109:
		status = 500
	}
	size := "-"
	if status == 200 || status == 404 || status == 500 {
		size = fmt.Sprint(200 + int(g.rnd.ExpFloat64()*9000))
	}
	referrer := "-"
	if g.rnd.IntN(3) == 0 {
		referrer = "https://www.example.com" + weblogPages()[g.rnd.IntN(8)]
	}
	dst = append(dst, weblogAddress(client)...)
	dst = append(dst, " - - ["...)
	dst = g.now.AppendFormat(dst, "02/Jan/2006:15:04:05 -0700")
	return fmt.Appendf(dst, "] \"%s %s HTTP/1.1\" %d %s \"%s\" \"%s\"", method, page, status, size, referrer, agent)
}

// weblogAddress is the address of a client: 192.0.2.x, 198.51.100.x or 203.0.113.x.
func weblogAddress(client uint64) string {
	blocks := [...]string{"192.0.2.", "198.51.100.", "203.0.113."}
	return blocks[client%3] + fmt.Sprint(1+client/3%254)
}

// logLine is a line and the client it is about, which is the record's partition key.
type logLine struct {
	key  string
	data []byte
}

// makeLines makes n lines.
func makeLines(n int, seed uint64) []logLine {
	g := newWeblog(seed)
	lines := make([]logLine, n)
	for i := range lines {
		lines[i] = newLogLine(g.line(nil))
	}
	return lines
}

// maxLogLine bounds a line of an input file: what a record may hold by default.
const maxLogLine = 1 << 20

// readLog reads at most n lines (0: all) of a log. Empty lines are left out: a record may be empty, but a line that
// says nothing has no client.
func readLog(r io.Reader, n int) ([]logLine, error) {
	var lines []logLine
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxLogLine)
	for s.Scan() && (n == 0 || len(lines) < n) {
		if len(s.Bytes()) > 0 {
			lines = append(lines, newLogLine(append([]byte(nil), s.Bytes()...)))
		}
	}
	return lines, s.Err()
}

// maxKeyChars is the most a partition key may have.
const maxKeyChars = 256

func newLogLine(data []byte) logLine {
	key, _, _ := strings.Cut(string(data), " ")
	if key == "" {
		key = "-"
	}
	key = strings.ToValidUTF8(key, "?")
	if r := []rune(key); len(r) > maxKeyChars {
		key = string(r[:maxKeyChars])
	}
	return logLine{key: key, data: data}
}
