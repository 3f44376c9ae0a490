// Package websocket gives handlers of net/http the WebSocket Protocol (RFC
// 6455), with nothing but the standard library.
//
// There is one door. [Upgrade], called inside an existing handler, checks the
// opening handshake, answers it, and returns a [Conn]:
//
//	func echo(w http.ResponseWriter, r *http.Request) {
//		c, err := websocket.Upgrade(w, r, nil)
//		if err != nil {
//			return // the client has been told why
//		}
//		defer c.CloseNow()
//		for m, err := range c.Messages(context.Background()) {
//			if err != nil {
//				log.Print(err)
//				return
//			}
//			// A write that fails ends the connection, and so the loop.
//			c.Write(context.Background(), m.Type, m.Data)
//		}
//	}
//
// # What is safe without being asked for
//
// Pages of foreign origins are refused, messages are limited to 1 MiB, text is
// UTF-8, dead peers are noticed, writes to peers that do not read time out, and
// everything may be called from any goroutine at any time. [Options] says how
// to change what can be changed, and how to get what is off by default, such as
// [Compression].
//
// # How a connection ends
//
// Everything that a connection returns after its end is one *[CloseError]: who
// ended it, with which code and why. [CloseStatus] is the short way to the code.
// All other errors leave the connection as it was: a read or write whose ctx has
// ended, and calls that cannot be made now.
//
// # How to read the source
//
// The files follow the data. handshake.go, accept.go, origin.go, subprotocol.go
// and extension.go turn a request into a decision, and reject.go and hijack.go
// into an answer; stream.go is what a transport has to give; read.go, write.go,
// compression.go, close.go and keepalive.go turn its bytes into messages, by the
// rules in internal/proto, with the compressor in internal/deflate and the wire
// format in [frame]. serve.go calls handlers, and cork.go holds their replies
// together; poller.go does the same for connections without a goroutine each, with
// internal/netpoll. queue.go, prepared.go, group.go and limiter.go are for many
// connections, too.
//
// [frame]: https://pkg.go.dev/github.com/airlock-go/websocket/frame
package websocket
