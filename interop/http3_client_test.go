package interop

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// http3Conn is a client's connection of HTTP/3.
type http3Conn struct {
	quic *quic.Conn
	http *http3.ClientConn
}

// dialHTTP3 connects, and waits for the settings of the server.
func dialHTTP3(_, addr string) (carrier, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{http3.NextProtoH3}}
	conn, err := quic.DialAddr(ctx, addr, config, &quic.Config{MaxIdleTimeout: patience})
	if err != nil {
		return nil, err
	}
	c := &http3Conn{conn, new(http3.Transport).NewClientConn(conn)}
	select {
	case <-c.http.ReceivedSettings():
		return c, nil
	case <-ctx.Done():
		return nil, errors.Join(errors.New("no settings"), c.Close())
	}
}

func (c *http3Conn) offersConnect() bool { return c.http.Settings().EnableExtendedConnect }

func (c *http3Conn) Close() error {
	return c.http.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
}

func (c *http3Conn) request(r *http.Request) (int, http.Header, tunnel, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stream, err := c.http.OpenRequestStream(ctx)
	if err != nil {
		return 0, nil, nil, err
	}
	stream.SetDeadline(time.Now().Add(patience))
	if err := stream.SendRequestHeader(r); err != nil {
		return 0, nil, nil, err
	}
	if r.Method != http.MethodConnect {
		stream.Close()
	}
	answer, err := stream.ReadResponse()
	if err != nil {
		return 0, nil, nil, err
	}
	return answer.StatusCode, answer.Header, &http3Stream{RequestStream: stream, conn: c.quic}, nil
}

// http3Stream is a stream as net.Conn.
type http3Stream struct {
	*http3.RequestStream
	conn    *quic.Conn
	writing sync.Mutex // Close and Write must not meet
}

func (s *http3Stream) LocalAddr() net.Addr  { return s.conn.LocalAddr() }
func (s *http3Stream) RemoteAddr() net.Addr { return s.conn.RemoteAddr() }

func (s *http3Stream) Write(p []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.RequestStream.Write(p)
}

// Close sends the end of the stream.
func (s *http3Stream) Close() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.RequestStream.Close()
}

func (s *http3Stream) reset() error {
	s.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	s.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	return nil
}

// leave: the end of what is sent is one thing, and that of what is received another.
func (s *http3Stream) leave() error {
	err := s.Close()
	s.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	return err
}
