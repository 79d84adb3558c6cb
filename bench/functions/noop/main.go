// Command noop does nothing, as a function of AWS Lambda's or, with "serve", as an HTTP
// service: what the figures of functions compare.
package main

import (
	"context"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		s := &http.Server{
			Addr: "127.0.0.1:" + os.Getenv("PORT"), ReadHeaderTimeout: 10 * time.Second,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }),
		}
		if err := s.ListenAndServe(); err != nil {
			os.Exit(1)
		}
		return
	}
	lambda.Start(func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		return events.APIGatewayV2HTTPResponse{StatusCode: http.StatusOK, Body: "ok"}, nil
	})
}
