package rollout

import "slices"

// Image is a container image as a version holds it: pinned by its digest, with
// what its configuration says of how it runs. See the OCI image specification,
// config.md.
type Image struct {
	Digest string `json:"digest"`        // "sha256:…": of the image's manifest for this machine's platform, or, built by an engine, the image's id
	Ref    string `json:"ref,omitempty"` // as the manifest has it, for people; no part of what is run
	// Engine says that a container engine holds the image; else it is unpacked under
	// artifacts/, in the folder that the artifact's digest names.
	Engine     bool     `json:"engine,omitempty"`
	Entrypoint []string `json:"entrypoint,omitempty"`
	Cmd        []string `json:"cmd,omitempty"`         // after Entrypoint, unless the artifact has a command
	Env        []string `json:"env,omitempty"`         // NAME=VALUE, below the version's own
	User       string   `json:"user,omitempty"`        // user[:group], by name or number; empty: root
	WorkingDir string   `json:"working_dir,omitempty"` // empty: /
	Ports      []int    `json:"ports,omitempty"`       // TCP ports that it says it listens on, ascending
	StopSignal string   `json:"stop_signal,omitempty"` // "SIGQUIT", or a number; empty: SIGTERM
	Volumes    []string `json:"volumes,omitempty"`     // folders that it says it keeps data in, ascending
}

// Argv is what a process of the image runs when a version says nothing else.
func (i Image) Argv() []string { return slices.Concat(i.Entrypoint, i.Cmd) }

// Same returns the part of the artifact that makes versions differ (R1): of an
// image its digest and who holds it; the rest follows from these, or is for people.
func (a Artifact) Same() Artifact {
	if a.Image != nil {
		a.Image = &Image{Digest: a.Image.Digest, Engine: a.Image.Engine}
	}
	return a
}

// OwnPort is the port at which a program listens, as it knows it itself where it has a
// network of its own: the manifest's, else the only one that its image names.
func OwnPort(port int, img *Image) int {
	const usual = 8080
	switch {
	case port != 0:
		return port
	case img != nil && len(img.Ports) == 1:
		return img.Ports[0]
	default:
		return usual
	}
}
