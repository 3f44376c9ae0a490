package conformance

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/airlock-go/websocket/internal/wstest"
)

// reference is an echo server that is written from the RFCs and shares nothing
// with the library but the wire format of package frame. It does all that the
// suite recommends, but for one quirk.
type reference struct {
	quirk *quirk
	asked func(*quirk) // if not nil, is told the quirks that would make a difference
}

// has reports whether the server has this quirk. It is asked only where that
// makes a difference; so a case for which it is not asked need not be played.
func (s reference) has(q *quirk) bool {
	if s.asked != nil {
		s.asked(q)
	}
	return s.quirk == q
}

// choose returns right, or what a server with the quirk has in its place.
func (s reference) choose(right bool, q *quirk, otherwise bool) bool {
	if otherwise != right && s.has(q) {
		return otherwise
	}
	return right
}

// dial takes the place of a network.
func (s reference) dial(context.Context, string, string) (net.Conn, error) {
	client, server := wstest.Pipe(0)
	go s.serve(server)
	return client, nil
}

func (s reference) serve(conn net.Conn) {
	defer conn.Close()
	br := bufio.NewReader(conn)
	r, err := s.readOpening(br)
	if err == io.EOF {
		return
	}
	o := &opener{s, r}
	if refused := o.check(err); refused != nil {
		refused.write(conn)
		if s.has(stays) {
			io.Copy(io.Discard, conn)
		}
		return
	}
	agreed, fields := o.accept()
	if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n"+strings.Join(fields, "\r\n")+"\r\n\r\n"); err != nil {
		return
	}
	if n := br.Buffered(); n > 0 && s.has(dropsEarlyData) {
		br.Discard(n)
	}
	e := &echoer{reference: s, conn: conn, br: br}
	if agreed != nil {
		e.deflate = &codec{reference: s, settings: *agreed}
	}
	e.run()
}

// opening is a request as it came.
type opening struct {
	method, target, proto string
	fields                textproto.MIMEHeader
}

func (s reference) readOpening(br *bufio.Reader) (*opening, error) {
	lines := textproto.NewReader(br)
	first, err := lines.ReadLine()
	if err == nil && first == "" {
		first, err = lines.ReadLine() // RFC 9112, section 2.2
	}
	if err != nil {
		return nil, io.EOF
	}
	parts := strings.Split(first, " ")
	if len(parts) != 3 || !isToken(parts[0]) || !strings.HasPrefix(parts[2], "HTTP/") {
		return nil, fmt.Errorf("no request line: %q", first)
	}
	r := &opening{parts[0], parts[1], parts[2], make(textproto.MIMEHeader)}
	var malformed error
	for size := 0; ; {
		line, err := lines.ReadContinuedLine()
		if err != nil {
			return nil, io.EOF
		}
		if line == "" {
			return r, malformed
		}
		if err := s.readField(r, line); err != nil {
			malformed = err
		}
		if size += len(line); size > 4<<10 && s.has(limitsRequests) {
			malformed = fmt.Errorf("more than 4 KiB")
		}
	}
}

func (s reference) readField(r *opening, line string) error {
	name, value, ok := strings.Cut(line, ":")
	if value != "" && value[0] != ' ' && s.has(wantsBlanks) {
		return nil
	}
	if strings.TrimSpace(name) != name && s.has(trimsNames) {
		name = strings.TrimSpace(name)
	}
	if !ok || !isToken(name) {
		return fmt.Errorf("no field: %q", line)
	}
	if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) && !s.has(ignoresControls) {
		return fmt.Errorf("a control character in %s", name)
	}
	trimmed := strings.Trim(value, " \t")
	if strings.TrimPrefix(value, " ") != trimmed && s.has(keepsBlanks) {
		trimmed = strings.TrimPrefix(value, " ")
	}
	key := textproto.CanonicalMIMEHeaderKey(name)
	if strings.ReplaceAll(name, "WebSocket", "Websocket") != key && s.has(comparesNames) {
		return nil
	}
	r.fields.Add(key, trimmed)
	return nil
}

// isToken reports whether s is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

// refusal is an answer other than 101.
type refusal struct {
	status int
	reason string
	fields []string
}

func refuse(status int, reason string, fields ...string) *refusal {
	return &refusal{status, reason, fields}
}

func (r *refusal) write(w io.Writer) {
	fields := append([]string{
		"Connection: close", "Content-Type: text/plain", fmt.Sprintf("Content-Length: %d", len(r.reason)),
	}, r.fields...)
	fmt.Fprintf(w, "HTTP/1.1 %d %s\r\n%s\r\n\r\n%s", r.status, http.StatusText(r.status), strings.Join(fields, "\r\n"), r.reason)
}

// opener checks and accepts a handshake.
type opener struct {
	reference
	*opening
}

const (
	secKey        = "Sec-Websocket-Key" // as textproto spells them
	secVersion    = "Sec-Websocket-Version"
	secProtocol   = "Sec-Websocket-Protocol"
	secExtensions = "Sec-Websocket-Extensions"
)

// elements are those of a list (RFC 9110, section 5.6.1).
func (o *opener) elements(name string) (list []string) {
	lines := o.fields[name]
	if len(lines) > 1 && o.has(readsFirstLine) {
		lines = lines[:1]
	}
	for element := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		if element = strings.Trim(element, " \t"); element != "" {
			list = append(list, element)
		}
	}
	return list
}

func (o *opener) lists(name, element string) bool { return listed(o.elements(name), element) }

func listed(list []string, element string) bool {
	return slices.ContainsFunc(list, func(e string) bool { return strings.EqualFold(e, element) })
}

// check reports why the request is refused, in the order in which the fields
// make sense.
func (o *opener) check(malformed error) *refusal {
	if malformed != nil {
		return refuse(http.StatusBadRequest, malformed.Error())
	}
	for _, check := range []func() *refusal{
		o.checkPurpose, o.checkRequest, o.checkConnection, o.checkUpgrade, o.checkVersion, o.checkKey,
		o.checkOrigin, o.checkProtocols, o.checkExtensions,
	} {
		if refused := check(); refused != nil {
			return o.spoil(refused)
		}
	}
	return nil
}

func (o *opener) spoil(r *refusal) *refusal {
	switch {
	case o.has(refusesWith400):
		return refuse(http.StatusBadRequest, r.reason, "Sec-WebSocket-Version: 13")
	case len(r.fields) > 0 && o.has(hidesFields):
		r.fields = nil
	case o.has(refusesWith200):
		r.status = http.StatusOK
	}
	return r
}

func upgradeRequired(reason string) *refusal {
	return refuse(http.StatusUpgradeRequired, reason, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
}

// checkPurpose looks for any sign of WebSocket.
func (o *opener) checkPurpose() *refusal {
	for name := range o.fields {
		if strings.HasPrefix(name, "Sec-Websocket-") {
			return o.checkNames()
		}
	}
	if o.lists("Upgrade", "websocket") {
		return nil
	}
	return upgradeRequired("a WebSocket endpoint")
}

func (o *opener) checkNames() *refusal {
	known := []string{secKey, secVersion, secProtocol, secExtensions}
	for name := range o.fields {
		if strings.HasPrefix(name, "Sec-Websocket-") && !slices.Contains(known, name) && o.has(refusesUnknownFields) {
			return refuse(http.StatusBadRequest, "no such field")
		}
	}
	return nil
}

func (o *opener) checkRequest() *refusal {
	hosts := o.fields["Host"]
	if u, err := url.ParseRequestURI(o.target); err != nil || u.Host != "" && o.has(wantsPaths) || u.RawQuery != "" && o.has(wantsNoQuery) {
		return refuse(http.StatusNotFound, "no such place")
	}
	switch {
	case o.method != "GET" && !o.has(acceptsPOST) && !(o.method == "get" && o.has(ignoresCase)):
		return refuse(http.StatusMethodNotAllowed, "not GET", "Allow: GET")
	case o.proto < "HTTP/1.1" && !o.has(acceptsOldHTTP), o.proto >= "HTTP/2" && !o.has(acceptsNewHTTP),
		o.proto > "HTTP/1.1" && o.has(wantsHTTP11):
		return refuse(http.StatusHTTPVersionNotSupported, "not HTTP/1.1")
	case (len(hosts) != 1 || hosts[0] == "" || strings.ContainsAny(hosts[0], " \t/?#@")) && !o.has(acceptsNoHost):
		return refuse(http.StatusBadRequest, "not one Host")
	case o.fields["Transfer-Encoding"] != nil && !o.has(acceptsBodies):
		return refuse(http.StatusBadRequest, "a body")
	}
	for _, length := range o.fields["Content-Length"] {
		if _, err := strconv.ParseUint(length, 10, 63); err != nil {
			if o.has(ignoresBadLengths) {
				continue
			}
			return refuse(http.StatusBadRequest, "no Content-Length")
		}
		if length == "0" && o.has(refusesContentLength) || length != "0" && !o.has(acceptsBodies) {
			return refuse(http.StatusBadRequest, "a body")
		}
	}
	return nil
}

func (o *opener) checkConnection() *refusal {
	text := strings.Join(o.fields["Connection"], ", ")
	ok := o.lists("Connection", "upgrade")
	ok = o.choose(ok, comparesConnection, text == "Upgrade")
	ok = o.choose(ok, searchesTokens, strings.Contains(strings.ToLower(text), "upgrade"))
	ok = o.choose(ok, ignoresConnection, true)
	if !ok {
		return refuse(http.StatusBadRequest, "no upgrade in Connection, which proxies drop unless told otherwise")
	}
	return nil
}

func (o *opener) checkUpgrade() *refusal {
	list := o.elements("Upgrade")
	ok := listed(list, "websocket")
	ok = o.choose(ok, readsFirstUpgrade, listed(list[:min(len(list), 1)], "websocket"))
	ok = o.choose(ok, wantsOneUpgrade, ok && len(list) == 1)
	ok = o.choose(ok, comparesUpgrade, slices.Contains(list, "websocket"))
	ok = o.choose(ok, searchesTokens, strings.Contains(strings.ToLower(strings.Join(list, ",")), "websocket"))
	ok = o.choose(ok, ignoresUpgrade, true)
	if !ok {
		return refuse(http.StatusBadRequest, "no websocket in Upgrade, which proxies drop unless told otherwise")
	}
	return nil
}

func (o *opener) checkVersion() *refusal {
	versions := o.fields[secVersion]
	for i := range versions {
		versions[i] = strings.Trim(versions[i], " \t")
	}
	right := len(versions) == 1 && versions[0] == "13"
	ok := o.choose(right, acceptsVersion8, slices.Equal(versions, []string{"8"}) || right)
	ok = o.choose(ok, acceptsTwice, slices.Contains(versions, "13"))
	ok = o.choose(ok, acceptsVersionLists, slices.Contains(o.elements(secVersion), "13"))
	ok = o.choose(ok, ignoresVersion, true)
	switch {
	case ok:
		return nil
	case len(versions) != 1 || versions[0] == "":
		return refuse(http.StatusBadRequest, "not one version", "Sec-WebSocket-Version: 13")
	}
	return upgradeRequired("not version 13")
}

func (o *opener) checkKey() *refusal {
	keys := append(o.fields[secKey], "", "")
	key, err := base64.StdEncoding.DecodeString(keys[0])
	ok := err == nil && len(key) == 16
	ok = o.choose(ok, acceptsAnyKey, keys[0] != "")
	ok = o.choose(ok, countsKeyCharacters, len(keys[0]) == 24)
	ok = o.choose(ok, acceptsShortKeys, err == nil && len(key) > 0)
	ok = o.choose(ok, ignoresKey, true)
	if !ok {
		return refuse(http.StatusBadRequest, "no key of 16 bytes in base64")
	}
	if len(o.fields[secKey]) > 1 && !o.has(acceptsTwice) {
		return refuse(http.StatusBadRequest, "not one key")
	}
	return nil
}

// checkOrigin keeps pages of other origins out, as far as there is an origin.
func (o *opener) checkOrigin() *refusal {
	origins := o.fields["Origin"]
	if len(origins) == 0 {
		return nil
	}
	u, err := url.Parse(origins[0])
	host := o.fields["Host"][0]
	own := err == nil && len(origins) == 1 && strings.EqualFold(u.Host, host) && (u.Scheme == "http" || u.Scheme == "https")
	own = o.choose(own, comparesBeginnings, strings.HasPrefix(origins[0], "http://"+host))
	own = o.choose(own, ignoresSchemes, err == nil && u.Host == host)
	own = o.choose(own, acceptsOrigins, true)
	if own = o.choose(own, refusesOrigins, false); own {
		return nil
	}
	return refuse(http.StatusForbidden, "a foreign origin")
}

func (o *opener) checkProtocols() *refusal {
	lines, names := o.fields[secProtocol], o.elements(secProtocol)
	slices.Sort(names)
	distinct := len(slices.Compact(slices.Clone(names))) == len(names)
	bad := slices.ContainsFunc(names, func(name string) bool { return !isToken(name) })
	if len(lines) > 0 && (len(names) == 0 || bad || !distinct) && !o.has(ignoresProtocols) {
		return refuse(http.StatusBadRequest, "malformed subprotocols")
	}
	return nil
}

func (o *opener) checkExtensions() *refusal {
	if _, err := parseOffers(o.fields[secExtensions]); err != nil && !o.has(ignoresExtensions) {
		return refuse(http.StatusBadRequest, err.Error())
	}
	return nil
}

// accept returns the fields of a 101, and what was agreed about compression.
func (o *opener) accept() (*settings, []string) {
	fields := []string{"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: " + o.acceptKey()}
	offered, names := o.fields[secProtocol], o.elements(secProtocol)
	switch {
	case o.has(choosesUnoffered):
		fields = append(fields, "Sec-WebSocket-Protocol: chat")
	case len(offered) == 0:
	case o.has(returnsProtocols):
		fields = append(fields, "Sec-WebSocket-Protocol: "+strings.Join(offered, ", "))
	case o.has(choosesNone):
		fields = append(fields, "Sec-WebSocket-Protocol: ")
	case o.has(lowersProtocols):
		fields = append(fields, "Sec-WebSocket-Protocol: "+strings.ToLower(names[0]))
	case o.has(choosesFirst):
		fields = append(fields, "Sec-WebSocket-Protocol: "+names[0])
	}
	agreed := o.agree()
	answer := ""
	if agreed != nil {
		answer = agreed.answer
	} else if o.has(forcesDeflate) {
		answer = deflateName
	}
	if offered := strings.Join(o.fields[secExtensions], ", "); offered != answer && offered != "" && o.has(returnsExtensions) {
		answer = offered
	}
	if answer != "" {
		fields = append(fields, "Sec-WebSocket-Extensions: "+answer)
	}
	switch {
	case o.has(announcesBody):
		fields = append(fields, "Content-Length: 0")
	case o.has(announcesChunks):
		fields = append(fields, "Transfer-Encoding: chunked")
	case o.has(repeatsVersion):
		fields = append(fields, "Sec-WebSocket-Version: 13")
	}
	return agreed, fields
}

func (o *opener) acceptKey() string {
	var key string
	if keys := o.fields[secKey]; len(keys) > 0 {
		key = keys[0]
	}
	raw, _ := base64.StdEncoding.DecodeString(key)
	good := hashKey(key)
	if again := base64.StdEncoding.EncodeToString(raw); again != key && o.has(recodesKey) {
		return hashKey(again)
	}
	switch {
	case key != handshakeKey && o.has(answersSample):
		return hashKey(handshakeKey)
	case strings.Contains(key, "+") && o.has(unescapesKey):
		return hashKey(strings.ReplaceAll(key, "+", " "))
	case o.has(hashesBytes):
		return hashKey(string(raw))
	case o.has(writesHex):
		raw, _ := base64.StdEncoding.DecodeString(good)
		return hex.EncodeToString(raw)
	}
	return good
}

func hashKey(key string) string {
	hash := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(hash[:])
}
