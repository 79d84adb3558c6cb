package manifest

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"titrate/internal/rollout"

	"go.yaml.in/yaml/v4"
)

// What a limit may be.
const (
	leastMemory    = 8 * megabyte // less holds no program with its runtime
	mostMemory     = 16 << 10 * gigabyte
	leastCPU       = 10 // thousandths of a core; the kernel gives no smaller share
	mostCPU        = 1000 * 1000
	leastProcesses = 16 // threads count too, and a runtime begins with a dozen
	mostProcesses  = 1000 * 1000
)

const (
	megabyte = int64(1) << 20
	gigabyte = int64(1) << 30
)

// limitsKind is what an instance may use, by resource.
func limitsKind() kind {
	return kind{
		accepts: "resources with their limits: { memory: 256MB, cpu: 0.5, processes: 200 }", null: true,
		schema: map[string]any{"anyOf": []any{map[string]any{"$ref": "#/definitions/limits"}, map[string]any{"type": "null"}}},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			return r.table(n, at, inLimits), true
		},
	}
}

// limitsOf turns a table of limits into the version's.
func limitsOf(l layer) rollout.Limits {
	return rollout.Limits{Memory: pick(int64(0), "memory", l), CPU: pick(0, "cpu", l), Processes: pick(0, "processes", l)}
}

// limits merges them by resource.
func (c candidate) limits() rollout.Limits {
	merged := layer{}
	for _, l := range c.layers {
		for k, v := range pick(layer(nil), "limits", l) {
			merged[k] = v
		}
	}
	return limitsOf(merged)
}

// limit is a number that parse reads from how it is written; "none" takes an
// inherited one away and is read as zero.
func limit[N int | int64](accepts string, schema map[string]any, parse func(string) (N, error)) kind {
	accepts += ", or none"
	return kind{
		accepts: accepts,
		schema:  map[string]any{"anyOf": []any{schema, map[string]any{"const": none}}},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			if n.Kind != yaml.ScalarNode || n.Tag != "!!str" && n.Tag != "!!int" && n.Tag != "!!float" {
				r.wrongType(n, at, accepts)
				return nil, false
			}
			if n.Value == none {
				return N(0), true
			}
			v, err := parse(n.Value)
			if err == nil && schema["type"] != "string" && n.Tag == "!!str" {
				err = fmt.Errorf("write it without quotes: %s", n.Value)
			}
			if err != nil {
				r.fault(n, Problem{Code: codeLimit, Path: at, Message: fmt.Sprintf("%s: %s cannot be a limit", place(at), quote(n.Value)), Hint: err.Error()})
				return nil, false
			}
			return v, true
		},
	}
}

func memoryKind() kind {
	return limit("an amount of memory: 256MB, 1.5GB", map[string]any{"type": "string", "pattern": `^[0-9]+(\.[0-9]+)?[MG]i?B$`}, ParseMemory)
}

func cpuKind() kind {
	return limit("a number of cores: 0.5, 2", map[string]any{"type": "number", "minimum": float64(leastCPU) / 1000, "maximum": mostCPU / 1000}, parseCPU)
}

func processesKind() kind {
	return limit(fmt.Sprintf("a whole number from %d to %d", leastProcesses, mostProcesses),
		map[string]any{"type": "integer", "minimum": leastProcesses, "maximum": mostProcesses}, parseProcesses)
}

var (
	memoryPattern = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) *([A-Za-z]*)$`)
	coresPattern  = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)
)

// ParseMemory reads an amount of memory: 256MB, 1.5GB. A megabyte is 1024 × 1024
// bytes, as in the limits of Docker and Lambda; MiB and GiB are the same. The
// error says what to write instead.
func ParseMemory(s string) (int64, error) {
	m := memoryPattern.FindStringSubmatch(s)
	if m == nil {
		return 0, errors.New("an amount of memory: 256MB, 1.5GB")
	}
	unit, size := "MB", float64(megabyte)
	switch strings.ToLower(m[2]) {
	case "":
		return 0, fmt.Errorf("has no unit: %sMB?", short(m[1]))
	case "m", "mi", "mb", "mib":
	case "g", "gi", "gb", "gib":
		unit, size = "GB", float64(gigabyte)
	default:
		return 0, errors.New("the units are MB and GB")
	}
	if s != m[1]+m[2] || m[2] != unit && m[2] != unit[:1]+"iB" {
		return 0, fmt.Errorf("write %s%s", short(m[1]), unit)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	bytes := n * size
	if err != nil || bytes < float64(leastMemory) || bytes > float64(mostMemory) {
		return 0, fmt.Errorf("at least %s, at most %s", FormatMemory(leastMemory), FormatMemory(mostMemory))
	}
	whole := int64(bytes) / megabyte * megabyte
	if float64(whole) != bytes {
		return 0, fmt.Errorf("memory is counted in whole MB: write %dMB", whole/megabyte)
	}
	return whole, nil
}

// FormatMemory writes an amount of memory, in whole MB, as [ParseMemory] reads it.
func FormatMemory(bytes int64) string {
	if bytes%gigabyte == 0 {
		return strconv.FormatInt(bytes/gigabyte, 10) + "GB"
	}
	return strconv.FormatInt(bytes/megabyte, 10) + "MB"
}

// parseCPU reads a number of cores as thousandths of one.
func parseCPU(s string) (int, error) {
	if !coresPattern.MatchString(s) {
		if n, err := strconv.Atoi(strings.TrimSuffix(s, "m")); err == nil && n > 0 && strings.HasSuffix(s, "m") {
			return 0, fmt.Errorf("in cores: %s", formatCPU(n))
		}
		if n, err := strconv.Atoi(strings.TrimSuffix(s, "%")); err == nil && n > 0 && strings.HasSuffix(s, "%") {
			return 0, fmt.Errorf("in cores: %s", formatCPU(n*10))
		}
		return 0, errors.New("a number of cores: 0.5, 2")
	}
	cores, err := strconv.ParseFloat(s, 64)
	if err != nil || cores*1000 < leastCPU || cores*1000 > mostCPU {
		return 0, fmt.Errorf("at least %s cores, at most %s", formatCPU(leastCPU), formatCPU(mostCPU))
	}
	if _, decimals, _ := strings.Cut(s, "."); len(strings.TrimRight(decimals, "0")) > 3 {
		return 0, errors.New("at most three decimals")
	}
	return int(cores*1000 + 0.5), nil
}

// formatCPU writes thousandths of a core in cores.
func formatCPU(thousandths int) string {
	return strconv.FormatFloat(float64(thousandths)/1000, 'f', -1, 64)
}

func parseProcesses(s string) (int, error) {
	n, err := strconv.Atoi(s)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange) || err == nil && strconv.Itoa(n) != s:
		return 0, errors.New("a whole number: 200")
	case err != nil || n < leastProcesses || n > mostProcesses:
		return 0, fmt.Errorf("at least %d, at most %d: threads count too", leastProcesses, mostProcesses)
	}
	return n, nil
}

// limitsLine writes every limit out, also what is not limited.
func (s Service) limitsLine() string {
	fields := []field{{"memory", none}, {"cpu", none}, {"processes", none}}
	if s.Limits.Memory != 0 {
		fields[0].value = FormatMemory(s.Limits.Memory)
	}
	if s.Limits.CPU != 0 {
		fields[1].value = formatCPU(s.Limits.CPU)
	}
	if s.Limits.Processes != 0 {
		fields[2].value = strconv.Itoa(s.Limits.Processes)
	}
	return line("limits", flow(fields...))
}
