package main

import (
	"compress/flate"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"
)

// gobwasPlain is the first example of its README, without the line in it that
// limits messages. What is left there to "handle error" closes the connection.
func gobwasPlain(w http.ResponseWriter, r *http.Request) {
	conn, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		closeHijacked(conn)
		return
	}
	go func() {
		defer conn.Close()
		for {
			msg, op, err := wsutil.ReadClientData(conn)
			if err != nil {
				return
			}
			if err := wsutil.WriteServerMessage(conn, op, msg); err != nil {
				return
			}
		}
	}()
}

// closeHijacked closes what UpgradeHTTP returns beside an error, if anything.
func closeHijacked(conn net.Conn) {
	if conn != nil {
		conn.Close()
	}
}

// gobwasFull does what its example/autobahn does: it negotiates compression, and
// sends the close frame that an error of the reader calls for. Besides, it reads
// what came with the handshake.
func gobwasFull(w http.ResponseWriter, r *http.Request) {
	ext := wsflate.Extension{Parameters: wsflate.DefaultParameters}
	upgrader := ws.HTTPUpgrader{Negotiate: ext.Negotiate}
	conn, rw, _, err := upgrader.Upgrade(r, w)
	if err != nil {
		closeHijacked(conn)
		return
	}
	defer conn.Close()
	_, deflate := ext.Accepted()
	e := newGobwasEcho(conn, rw, deflate)
	for err == nil {
		err = e.next()
	}
	e.fail(err)
}

type gobwasEcho struct {
	conn     net.Conn
	in       wsutil.Reader
	out      *wsutil.Writer
	deflate  wsflate.MessageState
	inflater *wsflate.Reader
	deflater *wsflate.Writer
	answered bool // a mistake in a control frame
}

func newGobwasEcho(conn net.Conn, early io.Reader, deflate bool) *gobwasEcho {
	e := &gobwasEcho{
		conn: conn,
		in: wsutil.Reader{
			Source: early, State: ws.StateServerSide, MaxMessageSize: maxMessage,
			CheckUTF8: !deflate, // it would check compressed bytes
		},
		inflater: wsflate.NewReader(nil, func(r io.Reader) wsflate.Decompressor { return flate.NewReader(r) }),
		deflater: wsflate.NewWriter(nil, func(w io.Writer) wsflate.Compressor {
			f, _ := flate.NewWriter(w, flate.BestSpeed) // there is such a level
			return f
		}),
	}
	e.in.OnIntermediate = e.control
	if deflate {
		e.in.State |= ws.StateExtended
		e.in.Extensions = []wsutil.RecvExtension{&e.deflate}
	}
	e.out = wsutil.NewWriter(conn, e.in.State, 0)
	if deflate {
		e.out.SetExtensions(&e.deflate)
	}
	return e
}

// next echoes a message, or answers a control frame.
func (e *gobwasEcho) next() error {
	h, err := e.in.NextFrame()
	if err != nil {
		return err
	}
	e.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if h.OpCode.IsControl() {
		return e.control(h, &e.in)
	}
	var src io.Reader = &e.in
	compressed := e.deflate.IsCompressed()
	if compressed {
		e.inflater.Reset(src)
		src = io.LimitReader(e.inflater, maxMessage)
	}
	data, err := io.ReadAll(src)
	if err != nil {
		return err
	}
	// There may be more behind the last block.
	if err := e.in.Discard(); err != nil {
		return err
	}
	e.out.ResetOp(h.OpCode)
	if !compressed {
		e.out.Write(data)
		return e.out.Flush()
	}
	e.deflater.Reset(e.out)
	e.deflater.Write(data)
	if err := e.deflater.Close(); err != nil {
		return err
	}
	return e.out.Flush()
}

func (e *gobwasEcho) control(h ws.Header, payload io.Reader) error {
	err := wsutil.ControlFrameHandler(e.conn, ws.StateServerSide)(h, payload)
	e.answered = err != nil
	return err
}

// fail sends a close frame, and waits for the client's end.
func (e *gobwasEcho) fail(err error) {
	code := ws.StatusProtocolError
	_, protocol := errors.AsType[ws.ProtocolError](err)
	switch {
	case errors.Is(err, wsutil.ErrInvalidUTF8):
		code = ws.StatusInvalidFramePayloadData
	case errors.Is(err, wsutil.ErrMessageTooLarge):
		code = ws.StatusMessageTooBig
	case !protocol || e.answered:
		return
	}
	if ws.WriteFrame(e.conn, ws.NewCloseFrame(ws.NewCloseFrameBody(code, ""))) != nil {
		return
	}
	if tcp, ok := e.conn.(*net.TCPConn); ok {
		tcp.CloseWrite()
	}
	e.conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	io.Copy(io.Discard, e.conn)
}

func gobwasClash(w http.ResponseWriter, r *http.Request) {
	conn, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		closeHijacked(conn)
		return
	}
	defer conn.Close()
	twoWriters(func(text []byte) error { return wsutil.WriteServerMessage(conn, ws.OpText, text) })
}
