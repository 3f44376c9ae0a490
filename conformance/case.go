package conformance

import (
	"embed"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"sync"

	"github.com/airlock-go/websocket/frame"
)

// A Case is one thing that a client may do, and what has to come of it.
type Case struct {
	Group   string // the name of its file
	Section string // of RFC 6455, or of the RFC that stands before it: "7692 7.2.1"
	Name    string
	Why     string
	Source  string // the lines of text that define it

	place    string // file:line
	request  []string
	connect  bool
	joined   bool
	offer    string
	agree    []string
	chops    []chop
	steps    []step
	handmade bool // it looks at the answer to the handshake itself
}

// ID names the case: its group, its section and its name.
func (c *Case) ID() string { return c.Group + "/" + c.Section + " " + c.Name }

// A chop is a way to cut the bytes that are sent.
type chop string

const (
	together chop = "together"
	frames   chop = "frames"
	bytewise chop = "bytes"
	halves   chop = "halves"
)

// A step sends something, or waits for something.
type step struct {
	times int
	send  *sending
	want  []outcome // the first is the demanded one, the others may come in its place
}

// A sending is what a step sends: a frame, bytes, or the end.
type sending struct {
	header     frame.Header // without mask and length, which follow below
	payload    payload
	unmasked   bool
	key        [4]byte
	lengthForm int     // bytes of the extended length: 0 for the shortest form, 2 or 8
	claim      int64   // the length that is announced; -1: that of the payload
	compress   int     // in so many frames; 0: not at all
	raw        payload // in place of a frame
	http       payload // likewise
	halfClose  bool
}

// A wantKind says what a step waits for.
type wantKind string

const (
	wantEcho    wantKind = "echo"
	wantMessage wantKind = "message"
	wantPong    wantKind = "pong"
	wantClose   wantKind = "close"
	wantFail    wantKind = "fail"
	wantEarly   wantKind = "early"
	wantNothing wantKind = "nothing"
	wantEnd     wantKind = "end"
	wantHTTP    wantKind = "http"
	wantHeader  wantKind = "header"
	wantIdle    wantKind = "idle"
)

// An outcome is what may come back, and the verdict when it does.
type outcome struct {
	kind    wantKind
	verdict Verdict
	text    string // as it stands in the case
	op      frame.Opcode
	payload payload
	codes   []int // of close, fail, early and http, and the statuses a header belongs to
	name    string
	value   string
	absent  bool // the header must not be there
}

//go:embed cases/*.txt
var files embed.FS

// Cases returns all cases, in the order of their files and lines.
func Cases() []*Case { return collected().cases }

// Groups returns the names of the groups, in order, and what each is about.
func Groups() (names []string, about map[string]string) {
	all := collected()
	return all.groups, all.about
}

type collection struct {
	cases  []*Case
	groups []string
	about  map[string]string // the first line of each file
}

var collected = sync.OnceValue(func() collection {
	all, err := collect(files)
	if err != nil {
		panic(err) // the files are part of the program, and of its tests
	}
	return all
})

func collect(files fs.FS) (collection, error) {
	all := collection{about: make(map[string]string)}
	names, err := fs.Glob(files, "cases/*.txt")
	if err != nil {
		return all, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return all, err
		}
		cases, err := parse(path.Base(name), string(text))
		if err != nil {
			return all, err
		}
		all.cases = append(all.cases, cases...)
		group := groupName(path.Base(name))
		all.groups = append(all.groups, group)
		first, _, _ := strings.Cut(string(text), "\n")
		all.about[group] = strings.TrimPrefix(first, "# ")
	}
	return all, nil
}

var order = regexp.MustCompile(`^\d+-`)

// groupName is the name of a file without the number that orders it.
func groupName(file string) string {
	return order.ReplaceAllString(strings.TrimSuffix(file, ".txt"), "")
}
