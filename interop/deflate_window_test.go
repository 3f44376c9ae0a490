package interop

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/airlock-go/websocket/frame"
)

// beyond is what zlib says to a distance that leads beyond its window.
const beyond = "invalid distance too far back"

// TestDeflateWindow inflates what the server sends with zlib, whose window has
// exactly the size that the client has demanded, and holds zlib to refuse more.
func TestDeflateWindow(t *testing.T) {
	t.Parallel()
	z := &inflater{openScript(t, installed(t, "/usr/bin/python3"), "testdata/inflate.py")}
	// The server would keep as much as it could.
	server := startExample(t, "echo", "-compress", "-window", "15").url.String()
	for bits := 8; bits <= maxBits; bits++ {
		t.Run(fmt.Sprintf("%d bits", bits), func(t *testing.T) {
			messages := repetitions(bits)
			streams := make(map[deflateParams][][]byte)
			for _, offer := range deflateOffers([]int{bits, min(bits+1, maxBits)}, []int{0}) {
				if !offer.ClientAlone {
					streams[offer] = echoesOf(t, server, offer, messages)
				}
			}
			for _, alone := range []bool{false, true} {
				demanded := deflateParams{ServerBits: bits, ServerAlone: alone}
				if got, err := z.inflate(bits, alone, streams[demanded]); err != nil || !slices.EqualFunc(got, messages, bytes.Equal) {
					t.Errorf("%v: the messages are others, or %v", demanded, err)
				}
				if bits == maxBits {
					continue // nothing can lead beyond it
				}
				larger := deflateParams{ServerBits: bits + 1, ServerAlone: alone}
				if _, err := z.inflate(bits, alone, streams[larger]); err == nil || !strings.Contains(err.Error(), beyond) {
					t.Errorf("%v, read with a window of %d bits: %v", larger, bits, err)
				}
			}
			together := deflateParams{ServerBits: bits}
			if _, err := z.inflate(bits, true, streams[together]); err == nil || !strings.Contains(err.Error(), beyond) {
				t.Errorf("%v, each message read by itself: %v", together, err)
			}
		})
	}
	t.Run("one byte beyond", func(t *testing.T) {
		for bits := 8; bits < maxBits; bits++ {
			within := []byte(repetition(newRandom(), 1<<bits))
			if got, err := z.inflate(bits, true, [][]byte{deflated(t, within)}); err != nil || !bytes.Equal(got[0], within) {
				t.Errorf("%d bits: a distance of %d: %v", bits, 1<<bits, err)
			}
			over := []byte(repetition(newRandom(), 1<<bits+1))
			if _, err := z.inflate(bits, true, [][]byte{deflated(t, over)}); err == nil || !strings.Contains(err.Error(), beyond) {
				t.Errorf("%d bits: a distance of %d: %v", bits, 1<<bits+1, err)
			}
		}
	})
}

// inflater is the script that has zlib.
type inflater struct{ *script }

// inflate inflates messages behind each other, or alone each.
func (z *inflater) inflate(bits int, alone bool, messages [][]byte) ([][]byte, error) {
	question := struct {
		Bits     int      `json:"bits"`
		Alone    bool     `json:"alone"`
		Messages [][]byte `json:"messages"`
	}{bits, alone, messages}
	var answer struct {
		Messages [][]byte `json:"messages"`
		Failed   string   `json:"failed"`
	}
	if err := z.ask(question, &answer); err != nil {
		return nil, err
	}
	if answer.Failed != "" {
		return nil, errors.New(answer.Failed)
	}
	return answer.Messages, nil
}

// echoesOf returns what the server sends when it gets messages, which go there
// uncompressed.
func echoesOf(t *testing.T, url string, offer deflateParams, messages [][]byte) (echoes [][]byte) {
	t.Helper()
	c, resp, err := shake(url, "", "Sec-WebSocket-Extensions: "+offer.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Extensions") != offer.answer(maxBits).String() {
		t.Fatalf("%v is answered with %d and %v", offer, resp.StatusCode, resp.Header)
	}
	for i, m := range messages {
		if _, err := c.Write(masked(frame.Binary, true, m)); err != nil {
			t.Fatal(err)
		}
		h, payload, err := c.next()
		if err != nil || h.Opcode != frame.Binary || !h.Fin || !h.RSV1 {
			t.Fatalf("%v: message %d of %d bytes comes back as %+v (%v)", offer, i, len(m), h, err)
		}
		echoes = append(echoes, payload)
	}
	return echoes
}

// repetitions returns messages for a window: in each something comes twice, just
// within the window or just beyond it, and so it is from each to the next.
func repetitions(bits int) (messages [][]byte) {
	r := newRandom()
	window := 1 << bits
	for _, distance := range []int{window - 1, window, window + 1, window + 2, window + window/2, 2 * window} {
		messages = append(messages, []byte(repetition(r, distance)))
		whole := letters(r, "abcd", window/2) + repetition(r, distance)
		middle := len(whole) / 2
		messages = append(messages, []byte(whole[:middle]), []byte(whole[middle:]))
	}
	return messages
}

// repetition returns a text whose beginning comes again at the end, after so
// many bytes. What lies between has little in it that does not come again, too,
// so that all of it can be compressed.
func repetition(r *rand.Rand, distance int) string {
	mark := letters(r, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 64)
	return mark + letters(r, "abcd", distance-len(mark)) + mark
}

// letters returns n of these.
func letters(r *rand.Rand, these string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = these[r.IntN(len(these))]
	}
	return string(b)
}

func newRandom() *rand.Rand { return rand.New(rand.NewPCG(13, 1)) }

// deflated is a message as a server sends it that knows no limit of the window.
func deflated(t *testing.T, p []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(p)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))
}
