// The program that the scripts push: behave.go says how this version behaves.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

var held []byte

// hold takes memory and uses all of it.
func hold(bytes int) time.Time {
	held = make([]byte, bytes)
	for i := 0; i < len(held); i += 4096 {
		held[i] = 1
	}
	return time.Now()
}

func main() {
	fmt.Println("starting", text, "mode", mode, "instance", os.Getenv("TITRATE_INSTANCE"))
	if mode == "crash" {
		log.Fatal("cannot open the ledger: no such table: accounts")
	}
	if mode == "hog" {
		fmt.Println("reading the whole catalogue")
		time.Sleep(time.Until(hold(200 << 20).Add(time.Hour)))
	}
	if mode == "fork" && os.Getenv("FORKED") == "" {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "FORKED=1")
		if err := cmd.Start(); err != nil {
			log.Fatal(err)
		}
		return
	}
	if mode == "stubborn" {
		signal.Ignore(syscall.SIGTERM)
	}
	http.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/healthz", http.StatusFound) })
	var n atomic.Uint64
	http.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if mode == "never" {
			http.Error(w, "still warming up", http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		switch {
		case mode == "bad" && n.Add(1)%2 == 0:
			log.Print("error: assignment to entry in nil map")
			http.Error(w, "broken", http.StatusInternalServerError)
			return
		case mode == "slow":
			time.Sleep(300 * time.Millisecond)
		}
		fmt.Fprintln(w, text)
	})
	http.HandleFunc("/greeting", func(w http.ResponseWriter, _ *http.Request) {
		greeting := os.Getenv("GREETING")
		fmt.Println("the greeting is", greeting)
		fmt.Fprintln(w, len(greeting), "letters")
	})
	http.HandleFunc("/fellow", func(w http.ResponseWriter, _ *http.Request) {
		resp, err := http.Get(os.Getenv("FELLOW_URL"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		_, _ = io.Copy(w, resp.Body)
	})
	addr := "127.0.0.1:" + os.Getenv("PORT")
	if mode == "elsewhere" {
		addr = "127.0.0.1:0"
	}
	log.Fatal(http.ListenAndServe(addr, nil))
}
