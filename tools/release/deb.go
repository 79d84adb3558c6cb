package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // registers the format
	"github.com/goreleaser/nfpm/v2/files"
)

// deb makes the Debian package for an architecture.
func (r *release) deb(arch string) error {
	packaging := filepath.Join(r.root, "packaging")
	at := func(elem ...string) string { return filepath.Join(append([]string{packaging}, elem...)...) }
	content := func(from, to string, mode os.FileMode, kind string) *files.Content {
		return &files.Content{Source: from, Destination: to, Type: kind, FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: r.at}}
	}
	contents := files.Contents{
		content(r.file(arch), "/usr/bin/titrate", 0o755, files.TypeFile),
		content(at("deb", "default"), "/etc/default/titrate", 0o644, files.TypeConfig),
		content(at("deb", "sysusers.conf"), "/usr/lib/sysusers.d/titrate.conf", 0o644, files.TypeFile),
		content(at("systemd", "users.conf"), "/usr/share/titrate/users.conf", 0o644, files.TypeFile),
		content(at("apparmor", "titrate"), "/usr/share/titrate/apparmor", 0o644, files.TypeFile),
		content(filepath.Join(r.root, "LICENSE"), "/usr/share/doc/titrate/copyright", 0o644, files.TypeFile),
		content(filepath.Join(r.root, "CHANGELOG.md"), "/usr/share/doc/titrate/CHANGELOG.md", 0o644, files.TypeFile),
	}
	for _, unit := range []string{"titrate.service", "titrate-api.socket", "titrate-gateway.socket"} {
		contents = append(contents, content(at("systemd", unit), "/usr/lib/systemd/system/"+unit, 0o644, files.TypeFile))
	}
	info := &nfpm.Info{
		Name: "titrate", Arch: arch, Platform: "linux", Version: r.debVersion(), VersionSchema: "none",
		Section: "admin", Priority: "optional", Maintainer: "Titrate <dev@titrate.invalid>", License: "Apache-2.0", MTime: r.at,
		Description: "release platform on one machine\nA git push becomes a build, a release and a gradual shift of traffic that takes itself back\nwhen an alarm trips.",
		Overridables: nfpm.Overridables{
			Contents: contents, Depends: []string{"git"}, Recommends: []string{"ca-certificates", "slirp4netns", "uidmap"}, Suggests: []string{"docker.io | podman"},
			Scripts: nfpm.Scripts{
				PostInstall: at("deb", "postinst"), PreRemove: at("deb", "prerm"), PostRemove: at("deb", "postrm"),
			},
		},
	}
	info = nfpm.WithDefaults(info)
	if err := nfpm.PrepareForPackager(info, "deb"); err != nil {
		return fmt.Errorf("prepare the package for %s: %w", arch, err)
	}
	packager, err := nfpm.Get("deb")
	if err != nil {
		return err
	}
	path := filepath.Join(r.out, fmt.Sprintf("titrate_%s_%s.deb", r.debVersion(), arch))
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := packager.Package(info, f); err != nil {
		f.Close()
		return fmt.Errorf("make the package for %s: %w", arch, err)
	}
	if err := f.Close(); err != nil {
		return err
	}
	r.made(path)
	return nil
}

// debVersion sorts a release candidate before its release, as Debian compares them.
func (r *release) debVersion() string { return strings.Replace(r.version, "-", "~", 1) }
