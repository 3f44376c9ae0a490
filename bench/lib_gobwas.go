package main

import (
	"bufio"
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"
)

var libGobwas = Lib{
	Name: "gobwas", Module: "github.com/gobwas/ws",
	How:     "net/http handler, ws.UpgradeHTTP, wsutil.ReadClientData/WriteServerMessage; wsflate.Helper with pooled flate",
	New:     gobwasServer,
	UTF8:    true,
	Deflate: []string{noTakeover},
	Detach:  true,
}

func gobwasServer(cfg Config) Server {
	return Server{
		Handle: func(w http.ResponseWriter, r *http.Request, use func(Conn)) {
			up := ws.HTTPUpgrader{}
			if cfg.Subprotocols {
				up.Protocol = func(p string) bool { return slices.Contains(serverProtocols, p) }
			}
			ext := wsflate.Extension{Parameters: wsflate.DefaultParameters}
			if cfg.Deflate != noDeflate {
				up.Negotiate = ext.Negotiate
			}
			nc, rw, _, err := up.Upgrade(r, w)
			if err != nil {
				return
			}
			_, deflate := ext.Accepted()
			cfg.run(func() {
				use(&gobwasConn{nc: nc, br: rw.Reader, drain: cfg.Drain, deflate: deflate})
				nc.Close()
			})
		},
		Prepare: gobwasPrepare,
	}
}

func gobwasPrepare(text bool, p []byte) (func(Conn) error, func()) {
	frame := ws.MustCompileFrame(ws.NewFrame(gobwasOp(text), true, p))
	return func(c Conn) error {
		_, err := c.(interface{ netConn() net.Conn }).netConn().Write(frame)
		return err
	}, func() {}
}

type gobwasConn struct {
	nc             net.Conn
	br             *bufio.Reader
	drain, deflate bool
	in, out        bytes.Buffer // with deflate
}

func (c *gobwasConn) netConn() net.Conn { return c.nc }

func (c *gobwasConn) Run() (msgs, n int) {
	rw := struct {
		io.Reader
		io.Writer
	}{c.br, c.nc}
	for {
		var p []byte
		var op ws.OpCode
		var err error
		if c.deflate {
			p, op, err = c.readDeflate()
		} else {
			p, op, err = wsutil.ReadClientData(rw)
		}
		if err != nil {
			return msgs, n
		}
		msgs, n = msgs+1, n+len(p)
		if !c.drain && c.write(op, p) != nil {
			return msgs, n
		}
	}
}

func (c *gobwasConn) Write(text bool, p []byte) error { return c.write(gobwasOp(text), p) }

func (c *gobwasConn) write(op ws.OpCode, p []byte) error {
	if !c.deflate {
		return wsutil.WriteServerMessage(c.nc, op, p)
	}
	c.out.Reset()
	f, err := gobwasFlate.CompressFrameBuffer(&c.out, ws.NewFrame(op, true, p))
	if err != nil {
		return err
	}
	return ws.WriteFrame(c.nc, f)
}

// readDeflate is the library's documented way to read compressed messages:
// frame by frame. It knows neither fragments nor control frames.
func (c *gobwasConn) readDeflate() ([]byte, ws.OpCode, error) {
	h, err := ws.ReadHeader(c.br)
	if err != nil {
		return nil, 0, err
	}
	if !h.OpCode.IsData() || h.Length > readLimit {
		return nil, 0, errFrame
	}
	f := ws.Frame{Header: h, Payload: make([]byte, h.Length)}
	if _, err := io.ReadFull(c.br, f.Payload); err != nil {
		return nil, 0, err
	}
	f = ws.UnmaskFrameInPlace(f)
	c.in.Reset()
	if f, err = gobwasFlate.DecompressFrameBuffer(&c.in, f); err != nil {
		return nil, 0, err
	}
	if f.Header.OpCode == ws.OpText && !utf8.Valid(f.Payload) {
		return nil, 0, errBadUTF8
	}
	return f.Payload, f.Header.OpCode, nil
}

var (
	errFrame   = errors.New("a frame that is not expected")
	errBadUTF8 = errors.New("text is not UTF-8")
)

// gobwasFlate is wsflate.DefaultHelper at our level, with its flate
// state pooled: the default makes a new 1 MB writer for every message.
var gobwasFlate = wsflate.Helper{
	Compressor: func(w io.Writer) wsflate.Compressor {
		f := flateWriters.Get().(*flate.Writer)
		f.Reset(w)
		return pooledWriter{f}
	},
	Decompressor: func(r io.Reader) wsflate.Decompressor {
		f := flateReaders.Get().(io.ReadCloser)
		f.(flate.Resetter).Reset(r, nil)
		return pooledReader{f}
	},
}

var (
	flateWriters = sync.Pool{New: func() any { f, _ := flate.NewWriter(nil, deflateLevel); return f }}
	flateReaders = sync.Pool{New: func() any { return flate.NewReader(nil) }}
)

type pooledWriter struct{ *flate.Writer }

func (w pooledWriter) Close() error { flateWriters.Put(w.Writer); return nil }

type pooledReader struct{ io.ReadCloser }

func (r pooledReader) Close() error { flateReaders.Put(r.ReadCloser); return nil }

func gobwasOp(text bool) ws.OpCode {
	if text {
		return ws.OpText
	}
	return ws.OpBinary
}
