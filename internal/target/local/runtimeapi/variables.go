package runtimeapi

import "strconv"

// Function is what a process is told of the function that it is.
type Function struct {
	Name    string
	Version string // "17"
	Handler string // as the manifest has it; empty where the runtime needs none
	Memory  int    // MiB
	Root    string // the folder of its code
	Runtime string // "nodejs22", "provided.al2023"
	Region  string // a name that SDKs ask for; empty: "local"
}

// Variables are the reserved variables that Lambda defines ("Using Lambda environment
// variables"), for a process that reaches its Runtime API at address. Left out are
// those of credentials, which come from secrets, and of X-Ray's daemon, which is not there.
func (f Function) Variables(address string) map[string]string {
	region := f.Region
	if region == "" {
		region = "local"
	}
	env := map[string]string{
		"AWS_LAMBDA_RUNTIME_API":          address,
		"AWS_LAMBDA_FUNCTION_NAME":        f.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     f.Version,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(f.Memory),
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + f.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME":      f.Name + "/" + f.Version,
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_REGION":                      region,
		"AWS_DEFAULT_REGION":              region,
		"LAMBDA_TASK_ROOT":                f.Root,
		"TZ":                              ":UTC",
	}
	if f.Handler != "" {
		env["_HANDLER"] = f.Handler
	}
	if f.Runtime != "" {
		env["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + f.Runtime
	}
	return env
}
