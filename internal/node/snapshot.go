package node

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"titrate/internal/durable"
	"titrate/internal/world"
)

// Snapshot is the file from which a node serves on when it starts and the server
// is gone: the last wanted world that it took, encrypted under a key file of the
// node's own because it holds secrets' values. The one before is kept, so that a
// file damaged by the machine costs one change and not all.
type Snapshot struct {
	path string
	seal cipher.AEAD
}

// OpenSnapshot makes or opens the snapshot in the folder dir.
func OpenSnapshot(dir string) (*Snapshot, error) {
	key, err := loadKey(filepath.Join(dir, "snapshot.key"))
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("open the snapshot's key: %w", err)
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("open the snapshot's key: %w", err)
	}
	return &Snapshot{path: filepath.Join(dir, "wanted"), seal: seal}, nil
}

func loadKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key := make([]byte, 32)
		rand.Read(key)
		return key, durable.WriteFile(path, []byte(hex.EncodeToString(key)))
	}
	if err != nil {
		return nil, fmt.Errorf("read the snapshot's key: %w", err)
	}
	key, err := hex.DecodeString(string(text))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("the snapshot's key %s is damaged; remove it and %s, then start again: the server sends the world anew", path, filepath.Join(filepath.Dir(path), "wanted"))
	}
	return key, nil
}

// Save keeps w, durably, before it returns.
func (s *Snapshot) Save(w world.Wanted) error {
	plain, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("write the snapshot: %w", err)
	}
	nonce := make([]byte, s.seal.NonceSize(), s.seal.NonceSize()+len(plain)+s.seal.Overhead())
	rand.Read(nonce)
	if err := os.Link(s.path, s.path+".new-prev"); err == nil {
		if err := os.Rename(s.path+".new-prev", s.path+".prev"); err != nil {
			return fmt.Errorf("keep the snapshot before: %w", err)
		}
	} else if errors.Is(err, fs.ErrExist) { // left by a crash between the two calls above
		_ = os.Rename(s.path+".new-prev", s.path+".prev")
	}
	return durable.WriteFile(s.path, s.seal.Seal(nonce, nonce, plain, nil))
}

// Load returns the last world kept, and a zero one where there is none. A
// snapshot that cannot be read is an error that says what was used instead: the
// world returned with it is the one before, or a zero one.
func (s *Snapshot) Load() (world.Wanted, error) {
	w, err := s.read(s.path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return w, nil
	}
	before, err2 := s.read(s.path + ".prev")
	if err2 != nil {
		return world.Wanted{}, fmt.Errorf("snapshot %s is damaged and there is none before it; nothing is served until the server answers: %w", s.path, err)
	}
	return before, fmt.Errorf("snapshot %s is damaged; going on with the one before it: %w", s.path, err)
}

func (s *Snapshot) read(path string) (world.Wanted, error) {
	var w world.Wanted
	sealed, err := os.ReadFile(path)
	if err != nil {
		return w, err
	}
	n := s.seal.NonceSize()
	if len(sealed) < n {
		return w, errors.New("too short")
	}
	plain, err := s.seal.Open(nil, sealed[:n], sealed[n:], nil)
	if err != nil {
		return w, fmt.Errorf("decrypt: %w", err)
	}
	if err := json.Unmarshal(plain, &w); err != nil {
		return world.Wanted{}, fmt.Errorf("decode: %w", err)
	}
	return w, nil
}
