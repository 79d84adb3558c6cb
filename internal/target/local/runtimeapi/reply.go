package runtimeapi

import (
	"encoding/json"
	"net/http"
)

// accept says that what was sent is taken.
func accept(w http.ResponseWriter) { reply(w, http.StatusAccepted, map[string]string{"status": "OK"}) }

// refuse says why not, as the Runtime API does.
func refuse(w http.ResponseWriter, status int, kind, message string) {
	reply(w, status, reported{Message: message, Type: kind})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // to whom it may still concern
}
