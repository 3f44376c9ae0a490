package main

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"strings"
	"sync"
)

// The end of every compressed message, which is not sent (RFC 7692, section 7.2.1),
// and a final block for compress/flate to stop at.
const (
	deflateTail = "\x00\x00\xff\xff"
	finalBlock  = "\x01\x00\x00\xff\xff"
)

// deflater is a client's end of permessage-deflate. It compresses each message by
// itself, as any client may.
type deflater struct {
	agreed bool
	keeps  bool // the server's messages refer to those before
	window []byte
}

func newDeflater(answer string) deflater {
	return deflater{agreed: answer != "", keeps: !strings.Contains(answer, "server_no_context_takeover")}
}

var (
	compressors = sync.Pool{New: func() any {
		z, _ := flate.NewWriter(nil, flate.BestSpeed) // the level is one that exists
		return z
	}}
	decompressors = sync.Pool{New: func() any { return flate.NewReader(nil) }}
)

func compress(p []byte) ([]byte, error) {
	z := compressors.Get().(*flate.Writer)
	defer compressors.Put(z)
	var b bytes.Buffer
	z.Reset(&b)
	_, err := z.Write(p)
	err = errors.Join(err, z.Flush())
	return bytes.TrimSuffix(b.Bytes(), []byte(deflateTail)), err
}

// decompress returns what a compressed message of the server says.
func (d *deflater) decompress(p []byte) ([]byte, error) {
	z := decompressors.Get().(io.Reader)
	defer decompressors.Put(z)
	whole := io.MultiReader(bytes.NewReader(p), strings.NewReader(deflateTail+finalBlock))
	if err := z.(flate.Resetter).Reset(whole, d.window); err != nil {
		return nil, err
	}
	said, err := io.ReadAll(z)
	d.remember(said)
	return said, err
}

func (d *deflater) remember(p []byte) {
	if d.keeps {
		d.window = append(d.window, p...)
		d.window = bytes.Clone(d.window[max(0, len(d.window)-1<<15):])
	}
}
