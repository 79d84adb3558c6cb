package http1_test

import (
	"fmt"

	"titrate/internal/http1"
)

// A proxy reads a request from a connection's buffer and writes it on.
func ExampleRequest() {
	buffer := []byte("GET /a?b HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nAccept: */*\r\n\r\n")
	var r http1.Request
	if n, err := r.Parse(buffer[:30], http1.Limits{}); n == 0 && err == nil {
		fmt.Println("more is needed")
	}
	n, err := r.Parse(buffer, http1.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(n == len(buffer), string(r.Host), string(r.Path))
	out := r.Append(nil, r.Framing, nil)
	out = http1.AppendField(out, "Via", "1.1 titrate")
	fmt.Printf("%q\n", http1.AppendEnd(out))
	// Output:
	// more is needed
	// true shop.example /a
	// "GET /a?b HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\nVia: 1.1 titrate\r\n\r\n"
}

// A body's data comes out piece by piece, wherever the connection cut it.
func ExampleChunks() {
	var c http1.Chunks
	for _, b := range [][]byte{[]byte("6\r\nhel"), []byte("lo \r\n5\r\nworld\r\n0\r\nX-Sum: 1\r\n\r\n")} {
		for len(b) > 0 && !c.Done() {
			data, used, err := c.Feed(b, http1.Limits{})
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Printf("%q ", data)
			b = b[used:]
		}
	}
	for name, value := range c.Trailers.All() {
		fmt.Printf("%s: %s\n", name, value)
	}
	// Output: "hel" "lo " "world" "" X-Sum: 1
}
