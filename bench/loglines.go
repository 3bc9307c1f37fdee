package bench

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// logLines makes n access-log lines of the Apache combined form, the same for each run: text that compresses as real
// logs do.
func logLines(n int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	pages := []string{"/", "/index.html", "/products", "/cart", "/static/site.css", "/api/v1/items", "/login"}
	agents := []string{"Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_0)", "curl/8.4.0"}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	out := make([][]byte, n)
	for i := range out {
		at = at.Add(time.Duration(r.IntN(900)) * time.Millisecond)
		out[i] = fmt.Appendf(nil, `%d.%d.%d.%d - - [%s] "GET %s?id=%d HTTP/1.1" %d %d "-" "%s"`, 10+r.IntN(200), r.IntN(256),
			r.IntN(256), r.IntN(256), at.Format("02/Jan/2006:15:04:05 -0700"), pages[r.IntN(len(pages))], r.IntN(100000),
			[]int{200, 200, 200, 304, 404, 500}[r.IntN(6)], r.IntN(40000), agents[r.IntN(len(agents))])
	}
	return out
}
