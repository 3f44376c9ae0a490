package main

import (
	"bytes"
	"sync"

	"github.com/klauspost/compress/flate"
)

var libAirlockKlauspost = Lib{
	Name: "airlock-klauspost", Module: libAirlock.Module,
	How:         "airlock, with github.com/klauspost/compress/flate as Compression.Compress",
	New:         func(cfg Config) Server { return airlockServer(cfg, klauspost, runAirlockBlocking) },
	UTF8:        true,
	Deflate:     deflateModes,
	DeflateOnly: true,
	Detach:      true,
}

// klauspost is a websocket.Compression.Compress. It is all that another compressor
// takes:
//
//	opts := &websocket.Options{Compression: &websocket.Compression{Compress: klauspost}}
func klauspost(dst, dict, p []byte) ([]byte, error) {
	w := klauspostWriters.Get().(*flate.Writer)
	defer klauspostWriters.Put(w)
	b := bytes.NewBuffer(dst)
	w.ResetDict(b, dict)
	w.Write(p) // an error comes again from Flush
	err := w.Flush()
	return b.Bytes(), err
}

var klauspostWriters = sync.Pool{New: func() any { w, _ := flate.NewWriter(nil, flate.BestSpeed); return w }}
