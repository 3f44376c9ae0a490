package main

import (
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// broadcastSpec asks a server for N messages, evenly spaced.
type broadcastSpec struct {
	Phase   uint64 // of the load; it stands in every message
	N, Size int
	Every   time.Duration
}

// broadcastStats is the answer, when all have been sent.
type broadcastStats struct {
	Skipped int // how many messages were not for a connection, which was too slow
}

// A message of a broadcast begins with the time when the server made it, in
// nanoseconds, and with the phase; the rest is that of broadcastPayload.
const stampSize = 16

// broadcastPayload is the largest message; others are the beginning of it.
var broadcastPayload = newMessage(fillSize, kindBinary).payload

func (s broadcastSpec) path() (string, error) {
	b, err := json.Marshal(s)
	return "/broadcast?spec=" + url.QueryEscape(string(b)), err
}

// handleBroadcast does what a broadcastSpec says, with Server.Broadcast.
func handleBroadcast(send func(p []byte) (skipped int)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var spec broadcastSpec
		if err := json.Unmarshal([]byte(r.FormValue("spec")), &spec); err != nil || send == nil {
			http.Error(w, "no spec, or no broadcast", http.StatusBadRequest)
			return
		}
		json.NewEncoder(w).Encode(broadcastStats{spec.run(send)})
	}
}

func (s broadcastSpec) run(send func(p []byte) (skipped int)) (skipped int) {
	p := slices.Clone(broadcastPayload[:s.Size])
	binary.BigEndian.PutUint64(p[8:], s.Phase)
	next := time.Now()
	for range s.N {
		time.Sleep(time.Until(next))
		next = next.Add(s.Every)
		binary.BigEndian.PutUint64(p, uint64(time.Now().UnixNano()))
		skipped += send(p)
	}
	return skipped
}
