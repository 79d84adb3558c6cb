// Package runtimeapi is the host's side of AWS Lambda's Runtime API and Extensions API
// for one execution environment: the process of a function asks it for work, and is
// answered when somebody invokes the function.
//
// It knows neither how the process is started nor how it ends: whoever supervises it
// says so by [Environment.Exited]. Sources: "Using the Lambda runtime API for custom
// runtimes", "Response streaming for custom runtimes" and "Using the Lambda Extensions
// API" of the AWS Lambda developer guide.
package runtimeapi
