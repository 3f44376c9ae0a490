package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/airlock-go/websocket/conformance"
)

// complain prints why there is no result, and what may help.
func complain(w io.Writer, err error) {
	fmt.Fprintf(w, "wsconform: %v\n", err)
	if probe, ok := errors.AsType[*conformance.ProbeError](err); ok {
		say(w, probe.Dialogue)
		if hint := hint(probe); hint != "" {
			fmt.Fprintf(w, "wsconform: %s\n", hint)
		}
	}
}

// hint guesses what is wrong where there is no server that echoes.
func hint(err *conformance.ProbeError) string {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the certificate is not trusted here; -insecure accepts every certificate"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "that is no TLS; perhaps the URL begins with ws://"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return "is the server running, and is this its port?"
	}
	if errors.Is(err, conformance.ErrNoExtendedConnect) {
		return "a server of Go's net/http offers it when it is started with GODEBUG=http2xconnect=1 in the environment"
	}
	switch err.Status {
	case 0:
		return ""
	case 301, 302, 303, 307, 308:
		return "the URL has to be that of the WebSocket; nothing is followed to another place"
	case 101:
		return "a server that is tested has to send every message back as it came, and nothing else"
	case 401, 403:
		return "-H adds what the server wants to see, as -H 'Cookie: session=1' or -H 'Origin: https://example.com'"
	case 404, 405, 200:
		return "is this the path of the WebSocket?"
	case 400:
		return "if the server speaks TLS, the URL begins with wss://"
	}
	return ""
}
