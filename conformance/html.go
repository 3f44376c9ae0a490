package conformance

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
)

//go:embed page
var pageFiles embed.FS

var pageTemplate = template.Must(template.New("report.html").Funcs(template.FuncMap{
	"rfc":       rfcLink,
	"clock":     clock,
	"signs":     func() map[Verdict]string { return verdictSigns },
	"meanings":  func() map[Verdict]string { return verdictMeanings },
	"lines":     func(s string) []string { return strings.Split(strings.TrimSpace(s), "\n") },
	"hasPrefix": strings.HasPrefix,
}).ParseFS(pageFiles, "page/report.html"))

var (
	verdictSigns    = map[Verdict]string{Pass: "✓", Informational: "i", NonStrict: "≈", Unimplemented: "–", Fail: "✗"}
	verdictMeanings = map[Verdict]string{
		Pass:          "as the RFC demands and recommends",
		Informational: "where the RFC says nothing",
		NonStrict:     "allowed, though not best",
		Unimplemented: "an extension the server does not have, or a case of HTTP/1.1 alone",
		Fail:          "against the RFC",
	}
)

// HTML writes one page that needs nothing else.
func (r *Report) HTML(w io.Writer) error {
	style, err := pageFiles.ReadFile("page/report.css")
	if err != nil {
		return err
	}
	script, err := pageFiles.ReadFile("page/report.js")
	if err != nil {
		return err
	}
	_, about := Groups()
	names, parts := r.Groups()
	p := page{Report: r, Verdicts: Verdicts, Style: template.CSS(style), Script: template.JS(script), Policy: policy(style, script)}
	for _, name := range names {
		g := pageGroup{Report: parts[name], Name: name, About: about[name]}
		for i := range g.Results {
			g.Cases = append(g.Cases, pageCase{&g.Results[i], picture(g.Results[i].Dialogue)})
		}
		p.Parts = append(p.Parts, g)
	}
	return pageTemplate.Execute(w, p)
}

// policy allows the page its own style and script and nothing else, so that what
// a server said stays text even if it were not escaped.
func policy(style, script []byte) string {
	hash := func(b []byte) string {
		sum := sha256.Sum256(b)
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; base-uri 'none'; form-action 'none'; style-src " + hash(style) + "; script-src " + hash(script)
}

// What the template is filled with.
type (
	page struct {
		*Report
		Verdicts []Verdict
		Parts    []pageGroup
		Style    template.CSS
		Script   template.JS
		Policy   string
	}
	pageGroup struct {
		*Report
		Name, About string
		Cases       []pageCase
	}
	pageCase struct {
		*Result
		Picture []pageLine
	}
	pageLine struct {
		Line
		Title string
		Class string
		Shown string  // the payload, broken at its newlines
		Wait  float64 // seconds of silence before the line, if they are worth telling
	}
)

// worthTelling is from how many seconds on a silence is part of the picture.
const worthTelling = 0.1

// picture is a dialogue to be drawn, an arrow for each line.
func picture(dialogue []Line) []pageLine {
	var drawn []pageLine
	last := 0.0
	for _, l := range dialogue {
		d := pageLine{Line: l, Title: l.title(), Shown: broken(l.Data)}
		if wait := l.Seconds - last; wait >= worthTelling {
			d.Wait = wait
		}
		last = l.Seconds
		switch l.Mark {
		case Sent:
			d.Class = "sent"
		case Received:
			d.Class = "received"
		default:
			d.Class = "remark"
		}
		if strings.HasPrefix(l.What, "end of ") {
			d.Class += " end"
		}
		drawn = append(drawn, d)
	}
	return drawn
}

// broken begins a new line behind every newline in a quoted string.
func broken(quoted string) string {
	var b strings.Builder
	for i := 0; i < len(quoted); i++ {
		b.WriteByte(quoted[i])
		if quoted[i] != '\\' || i+1 == len(quoted) {
			continue
		}
		i++
		b.WriteByte(quoted[i])
		if quoted[i] == 'n' && quoted[i+1:] != `"` {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// clock tells a time to people.
func clock(seconds float64) string {
	if seconds < 1 {
		return fmt.Sprintf("%.1f ms", seconds*1000)
	}
	return fmt.Sprintf("%.2f s", seconds)
}

// rfcSection is where to read what a case is about.
type rfcSection struct{ Text, URL string }

// rfcLink reads a section as it stands in a case: "5.4" is of RFC 6455, and
// "7692 7.1" of another.
func rfcLink(section string) rfcSection {
	number, rest, other := strings.Cut(section, " ")
	if !other {
		number, rest = "6455", section
	}
	return rfcSection{"RFC " + number + ", " + rest, "https://www.rfc-editor.org/rfc/rfc" + number + "#section-" + rest}
}
