// sick is the service of the tests: it answers on port 8080 and is as unwell as its environment says.
//
//	CRASH=1      it ends with an error right away
//	UNREADY=1    /ready answers 503
//	MEBIBYTES=n  it takes n MiB of memory and keeps them
//	ERRORS=r     the share of its requests that fail, in what /metrics tells
package main

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func number(name string) float64 {
	value, _ := strconv.ParseFloat(os.Getenv(name), 64)
	return value
}

func main() {
	if os.Getenv("CRASH") != "" {
		fmt.Fprintln(os.Stderr, "sick: as the environment wants it")
		os.Exit(3)
	}
	kept := make([]byte, int(number("MEBIBYTES"))<<20)
	for at := 0; at < len(kept); at += 4096 {
		kept[at] = 1
	}
	http.HandleFunc("/ready", func(answer http.ResponseWriter, _ *http.Request) {
		if os.Getenv("UNREADY") != "" {
			answer.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintln(answer, len(kept))
	})
	http.HandleFunc("/metrics", func(answer http.ResponseWriter, _ *http.Request) {
		// A little restless, as a real one would be.
		ratio := number("ERRORS") * (1 + 0.1*math.Sin(float64(time.Now().Unix())))
		fmt.Fprintf(answer, "# TYPE error_ratio gauge\nerror_ratio %.5f\n", ratio)
	})
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() { <-stop; os.Exit(0) }()
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	fmt.Fprintln(os.Stderr, http.ListenAndServe(":"+port, nil))
	os.Exit(1)
}
