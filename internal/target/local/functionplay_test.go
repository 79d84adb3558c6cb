package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"titrate/internal/invocation"
	"titrate/internal/rollout"
	"titrate/internal/world"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// functionApps are the functions of the tests, with AWS's own library for Go.
func functionApps() map[string]func([]string) {
	return map[string]func([]string){
		"function": func([]string) { lambda.Start(play) },
		"function-http": func([]string) {
			lambda.Start(func(_ context.Context, e json.RawMessage) (any, error) {
				return map[string]any{"statusCode": 201, "headers": map[string]string{"x-beans": "ethiopia", "access-control-allow-origin": "evil"}, "body": string(e)}, nil
			})
		},
		"function-text": func([]string) {
			lambda.Start(func(context.Context, json.RawMessage) (any, error) {
				return map[string]any{"statusCode": "no number"}, nil
			})
		},
		"function-stream": func([]string) {
			lambda.Start(func(_ context.Context, e json.RawMessage) (*events.LambdaFunctionURLStreamingResponse, error) {
				r, w := io.Pipe()
				go func() {
					fmt.Fprint(w, "one ")
					waitForFile("go-on")
					if strings.Contains(string(e), "fail") {
						w.CloseWithError(errors.New("no beans"))
						return
					}
					fmt.Fprint(w, "two")
					w.Close()
				}()
				return &events.LambdaFunctionURLStreamingResponse{StatusCode: 202, Headers: map[string]string{"X-Beans": "kenya"}, Body: r}, nil
			})
		},
		"function-crash": func([]string) {
			fmt.Println("cannot find the beans")
			fmt.Fprintln(os.Stderr, "password is", os.Getenv("PASSWORD"))
			os.Exit(3)
		},
		"function-when-told": func([]string) {
			waitForFile("start")
			lambda.Start(play)
		},
		"function-once": func([]string) { // the second start fails
			at := filepath.Join(os.Getenv("TITRATE_STATE"), "started")
			if _, err := os.Stat(at); err == nil {
				fmt.Println("not again")
				os.Exit(4)
			}
			_ = os.WriteFile(at, nil, 0o600)
			lambda.Start(play)
		},
		"function-farewell": func([]string) { // with an extension within, as AWS's library has it
			lambda.StartWithOptions(play, lambda.WithEnableSIGTERM(func() {
				fmt.Println("farewell")
				_ = os.WriteFile(filepath.Join(os.Getenv("TITRATE_STATE"), "farewell"), nil, 0o600)
				os.Exit(0)
			}))
		},
		"extension":      extend,
		"function-never": func([]string) { fmt.Println("waits for nothing"); time.Sleep(time.Hour) },
	}
}

func waitForFile(name string) {
	for {
		if _, err := os.Stat(filepath.Join(os.Getenv("TITRATE_STATE"), name)); err == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// doing is what a function is told to do.
type doing struct {
	Do   string `json:"do"`
	Size int    `json:"size,omitempty"`
	Path string `json:"path,omitempty"`
	URL  string `json:"url,omitempty"`
}

func play(ctx context.Context, d doing) (any, error) {
	switch d.Do {
	case "tell":
		lc, _ := lambdacontext.FromContext(ctx)
		return map[string]any{"pid": os.Getpid(), "id": lc.AwsRequestID, "arn": lc.InvokedFunctionArn, "env": os.Environ(), "version": lambdacontext.FunctionVersion}, nil
	case "error":
		fmt.Println("the beans are gone")
		return nil, errors.New("no beans")
	case "exit":
		fmt.Println("gives up")
		os.Exit(3)
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "hang":
		fmt.Println("thinks about it")
		select {}
	case "large":
		return strings.Repeat("x", d.Size), nil
	case "grow":
		return grow(fmt.Sprint(d.Size)), nil
	case "grow-wait":
		grow(fmt.Sprint(d.Size))
		select {}
	case "wait":
		waitForFile(d.Path)
	case "say-wait":
		fmt.Println("begins")
		waitForFile(d.Path)
		fmt.Println("goes on")
	case "get":
		resp, err := http.Get(d.URL)
		if err != nil {
			return nil, err
		}
		resp.Body.Close()
		return resp.Status, nil
	}
	return d, nil
}

// fnFleet is a version of a function: this program in one of its modes.
func fnFleet(v rollout.Version, mode string) world.Fleet {
	f := run(v, 1, mode)
	f.Health = ""
	f.Function = &rollout.Function{Runtime: "provided.al2023", Timeout: time.Minute}
	f.Scale = world.Fleet{}.Scale
	f.Scale.Max = 4
	return f
}

// wantFn applies a function of some versions, the first of which has all traffic.
func (b *bench) wantFn(t *rollout.Triggers, fleets ...world.Fleet) {
	b.t.Helper()
	w := world.Workload{Key: orders, Fleets: fleets, Triggers: t, Rollout: 1, Attempt: 1}
	if len(fleets) > 0 {
		w.Split = []world.Share{{Version: fleets[0].Version, Weight: rollout.Full}}
	}
	b.apply(world.Wanted{Workloads: []world.Workload{w}})
}

// callee waits until a version is published.
func (b *bench) callee(v rollout.Version) invocation.Callee {
	b.t.Helper()
	at := b.untilReady(v, 1)[0]
	if at.Callee == nil || at.Addr != "" || at.Instance != "orders-"+v.String() {
		b.t.Fatalf("published as %+v", at)
	}
	return at.Callee
}

// ask invokes and wants no failure.
func (b *bench) ask(c invocation.Callee, event string) string {
	b.t.Helper()
	out, called := b.try(c, event)
	if called.Failure != "" {
		b.t.Fatalf("%s: %+v", event, called)
	}
	return string(out)
}

func (b *bench) try(c invocation.Callee, event string) ([]byte, invocation.Called) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	return c.Invoke(ctx, []byte(event), invocation.Call{ID: "8476a536-e9f4", Real: true})
}

// told is what the function tells of itself.
type told struct {
	PID              int
	ID, ARN, Version string
	Env              []string
}

func (b *bench) tell(c invocation.Callee) (out told) {
	b.t.Helper()
	if err := json.Unmarshal([]byte(b.ask(c, `{"do":"tell"}`)), &out); err != nil {
		b.t.Fatal(err)
	}
	return out
}

// state makes a file that functions wait for.
func (b *bench) state(name string) {
	b.t.Helper()
	dir := b.layout.state(orders)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) function(v rollout.Version) *function {
	b.t.Helper()
	fn, ok := b.callee(v).(*function)
	if !ok {
		b.t.Fatal("it is no function")
	}
	return fn
}

func checkPayload(t *testing.T, payload []byte, kind string) {
	t.Helper()
	var said struct{ ErrorType, ErrorMessage string }
	if err := json.Unmarshal(payload, &said); err != nil || said.ErrorType != kind || said.ErrorMessage == "" {
		t.Errorf("payload %s, want the type %s", payload, kind)
	}
}
