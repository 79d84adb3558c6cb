// Package static serves a folder of files over HTTP as a site.
package static

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Handler serves the files of a folder that does not change: GET and HEAD, with
// types by ending, an ETag of the content, ranges, and index.html for folders. Files
// with a hash in their name are kept by browsers, others asked about each time. It
// lists no folder and serves no hidden file, but for .well-known. What is not there
// is answered by fallback with 200, if that is not empty and the path has no
// ending of a file's; otherwise with 404, and the site's 404.html where it has one.
func Handler(site fs.FS, fallback string) http.Handler {
	return &handler{site: site, fallback: fallback}
}

type handler struct {
	site     fs.FS
	fallback string
	tags     sync.Map // ETags by name
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "405 method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if name == "" {
		name = "."
	}
	asked := name
	if info, err := h.stat(name); err == nil && info.IsDir() {
		name = path.Join(name, "index.html")
		if h.is(name) && asked != "." && !strings.HasSuffix(r.URL.Path, "/") {
			to := "./" + path.Base(asked) + "/"
			if r.URL.RawQuery != "" {
				to += "?" + r.URL.RawQuery
			}
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusMovedPermanently)
			return
		}
	} else if strings.HasSuffix(r.URL.Path, "/") {
		name = "" // a file is not a folder
	}
	switch {
	case name != "" && h.is(name):
		h.file(w, r, name, http.StatusOK)
	case h.fallback != "" && path.Ext(asked) == "" || h.fallback != "" && asked == ".":
		h.file(w, r, h.fallback, http.StatusOK)
	case h.is("404.html"):
		h.file(w, r, "404.html", http.StatusNotFound)
	default:
		http.Error(w, "404 not found", http.StatusNotFound)
	}
}

func (h *handler) is(name string) bool {
	info, err := h.stat(name)
	return err == nil && info.Mode().IsRegular()
}

// stat looks at what may be served.
func (h *handler) stat(name string) (fs.FileInfo, error) {
	for part := range strings.SplitSeq(name, "/") {
		if part != "." && part != ".well-known" && strings.HasPrefix(part, ".") {
			return nil, fs.ErrNotExist
		}
	}
	return fs.Stat(h.site, name)
}

func (h *handler) file(w http.ResponseWriter, r *http.Request, name string, status int) {
	f, err := h.site.Open(name)
	if err != nil {
		http.Error(w, "404 not found", http.StatusNotFound)
		return
	}
	defer f.Close() //nolint:errcheck // only read
	content, tag, err := h.tag(name, f)
	if err != nil {
		http.Error(w, "500 the file cannot be read", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", typeOf(name))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", keeps(name, status))
	if status != http.StatusOK {
		w.WriteHeader(status)
		if r.Method == http.MethodGet {
			_, _ = io.Copy(w, content) // the client may have gone
		}
		return
	}
	w.Header().Set("ETag", tag)
	// By content alone: the times of an artifact are those of its build.
	http.ServeContent(w, r, "", time.Time{}, content)
}

// hashed is a name that a bundler has put the content's hash into: app-B7x2k9Qz.js,
// main.3f2a9c1d.css.
var hashed = regexp.MustCompile(`[.-]([A-Za-z0-9_-]{8,40})\.[a-z0-9]+(?:\.map)?$`)

// keeps says how long a browser may keep a file without asking: for ever where its
// name has a hash of the content, else not at all, since two versions of a site may be
// served at once.
func keeps(name string, status int) string {
	m := hashed.FindStringSubmatch(path.Base(name))
	if status == http.StatusOK && m != nil && strings.ContainsAny(m[1], "0123456789") && path.Ext(name) != ".html" && hashLike(m[1]) {
		return "public, max-age=31536000, immutable"
	}
	return "no-cache"
}

// hashLike reports whether a part of a name is a hash and no word, date or version:
// hexadecimal, or digits among letters of both cases.
func hashLike(s string) bool {
	letters := strings.Trim(s, "0123456789") != ""
	hexadecimal := strings.Trim(s, "0123456789abcdef") == ""
	return letters && (hexadecimal || strings.ToLower(s) != s && strings.ToUpper(s) != s)
}

// tag is made of the content, once for each file.
func (h *handler) tag(name string, f fs.File) (io.ReadSeeker, string, error) {
	content, ok := f.(io.ReadSeeker)
	if !ok {
		return nil, "", errors.New("the file cannot be read from its start again")
	}
	if tag, ok := h.tags.Load(name); ok {
		text, ok := tag.(string)
		if ok {
			return content, text, nil
		}
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, content); err != nil {
		return nil, "", err
	}
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return nil, "", err
	}
	tag := `"` + hex.EncodeToString(sum.Sum(nil)[:16]) + `"`
	h.tags.Store(name, tag)
	return content, tag, nil
}

// types are those of the web, whatever the machine's own table says.
var types = map[string]string{
	".avif": "image/avif", ".css": "text/css; charset=utf-8", ".csv": "text/csv; charset=utf-8", ".gif": "image/gif", ".htm": "text/html; charset=utf-8", ".html": "text/html; charset=utf-8",
	".ico": "image/x-icon", ".jpeg": "image/jpeg", ".jpg": "image/jpeg", ".js": "text/javascript; charset=utf-8", ".json": "application/json", ".map": "application/json",
	".md": "text/markdown; charset=utf-8", ".mjs": "text/javascript; charset=utf-8", ".mp3": "audio/mpeg", ".mp4": "video/mp4", ".otf": "font/otf", ".pdf": "application/pdf", ".png": "image/png",
	".svg": "image/svg+xml", ".ttf": "font/ttf", ".txt": "text/plain; charset=utf-8", ".wasm": "application/wasm", ".webm": "video/webm", ".webmanifest": "application/manifest+json",
	".webp": "image/webp", ".woff": "font/woff", ".woff2": "font/woff2", ".xml": "text/xml; charset=utf-8", ".zip": "application/zip",
}

func typeOf(name string) string {
	ext := strings.ToLower(path.Ext(name))
	if kind := types[ext]; kind != "" {
		return kind
	}
	if kind := mime.TypeByExtension(ext); kind != "" {
		return kind
	}
	return "application/octet-stream"
}
