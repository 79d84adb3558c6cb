package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// materials writes what is in the program, as CycloneDX: the modules that the linker
// wrote into it, not those that go.mod names.
func (r *release) materials() error {
	info, err := buildinfo.ReadFile(r.file(arches[0]))
	if err != nil {
		return fmt.Errorf("read what the program is made of: %w", err)
	}
	bom := cdx.NewBOM()
	self := cdx.Component{
		BOMRef: "titrate", Type: cdx.ComponentTypeApplication, Name: "titrate", Version: r.version,
		Licenses: &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}},
	}
	bom.Metadata = &cdx.Metadata{Timestamp: r.at.Format("2006-01-02T15:04:05Z"), Component: &self}
	components := []cdx.Component{{BOMRef: "go", Type: cdx.ComponentTypeLibrary, Name: "std", Version: strings.TrimPrefix(info.GoVersion, "go"), PackageURL: "pkg:golang/std@" + strings.TrimPrefix(info.GoVersion, "go")}}
	needs := []string{"go"}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		url := fmt.Sprintf("pkg:golang/%s@%s", m.Path, m.Version)
		components = append(components, cdx.Component{
			BOMRef: url, Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: url,
			Properties: &[]cdx.Property{{Name: "go:sum", Value: m.Sum}},
		})
		needs = append(needs, url)
	}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: "titrate", Dependencies: &needs}}
	path := filepath.Join(r.out, "titrate.cdx.json")
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := cdx.NewBOMEncoder(f, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	r.made(path)
	return f.Close()
}

// sums writes SHA256SUMS, which `sha256sum --check` reads.
func (r *release) sums() error {
	var out bytes.Buffer
	err := filepath.WalkDir(r.out, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			return err
		}
		name, err := filepath.Rel(r.out, path)
		fmt.Fprintf(&out, "%s  %s\n", hex.EncodeToString(h.Sum(nil)), name)
		return err
	})
	if err != nil {
		return fmt.Errorf("sum up: %w", err)
	}
	path := filepath.Join(r.out, "SHA256SUMS")
	r.made(path)
	return os.WriteFile(path, out.Bytes(), 0o644)
}

func opener(b []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
}
