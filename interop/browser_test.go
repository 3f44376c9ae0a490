package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// browser is the one Chromium of all tests, which are tabs in it.
var browser struct {
	start sync.Once
	ctx   context.Context
	err   error
	stop  func()
}

func startBrowser(t *testing.T) context.Context {
	t.Helper()
	path := installed(t, "/usr/bin/chromium")
	browser.start.Do(func() {
		var profile string
		if profile, browser.err = os.MkdirTemp("", "chromium"); browser.err != nil {
			return
		}
		options := append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.WindowSize(1200, 800),
			chromedp.NoSandbox, chromedp.DisableGPU, chromedp.IgnoreCertErrors,
			chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
		allocator, release := chromedp.NewExecAllocator(context.Background(), options...)
		browser.ctx, _ = chromedp.NewContext(allocator)
		browser.stop = func() {
			ctx, cancel := context.WithTimeout(browser.ctx, patience)
			defer cancel()
			if err := chromedp.Cancel(ctx); err != nil {
				fmt.Fprintln(os.Stderr, "closing the browser:", err)
			}
			release()
			os.RemoveAll(profile)
		}
		browser.err = chromedp.Do(browser.ctx)
	})
	if browser.err != nil {
		t.Fatal("the browser does not start: ", browser.err)
	}
	return browser.ctx
}

func closeBrowser() {
	if browser.stop != nil {
		browser.stop()
	}
}

// page is a tab of the browser.
type page struct {
	*testing.T
	ctx     context.Context
	close   func()
	console iter.Seq2[chromedp.ConsoleMessage, error]
}

// openPage opens a page in a new tab, which the end of the test closes.
func openPage(t *testing.T, rawURL string) *page {
	t.Helper()
	return openPageIn(t, startBrowser(t), rawURL)
}

func openPageIn(t *testing.T, browser context.Context, rawURL string) *page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	p := &page{T: t, ctx: ctx, close: cancel}
	if err := chromedp.Do(ctx); err != nil { // opens the tab, which lives as long as this ctx
		t.Fatal(err)
	}
	p.console = chromedp.Console(ctx)
	p.do(chromedp.Navigate(rawURL))
	return p
}

func (p *page) do(steps ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.Fatal(err)
	}
}

// evaluate returns what an expression in JavaScript is, or what the promise that
// it is becomes.
func evaluate[V any](p *page, expression string) V {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[V](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.Fatalf("%s: %v; the page says:\n%s", expression, err, p.visible())
	}
	return v
}

// visible returns the text of the page.
func (p *page) visible() string {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	if err != nil {
		return err.Error()
	}
	return text
}

// until waits until a condition in JavaScript holds. It is looked at whenever
// the page changes.
func (p *page) until(condition string) {
	p.Helper()
	evaluate[bool](p, `new Promise(resolve => {
		const look = () => (`+condition+`) && resolve(true);
		new MutationObserver(look).observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
		look();
	})`)
}

// typeInto types into the element with an id; \r is Enter.
func (p *page) typeInto(id chromedp.ID, text string) {
	p.Helper()
	p.do(chromedp.SendKeys(id, text))
}

func (p *page) click(id chromedp.ID) {
	p.Helper()
	p.do(chromedp.Click(id))
}

// fits checks that a phone shows the page without scrolling to the side.
func (p *page) fits(name string) {
	p.Helper()
	p.do(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	p.picture(name + "-narrow")
	type size struct{ Scroll, Client int }
	if s := evaluate[size](p, `({Scroll: document.documentElement.scrollWidth, Client: document.documentElement.clientWidth})`); s.Scroll > s.Client || s.Client != 390 {
		p.Errorf("on a screen of 390 pixels, the page has %d and shows %d", s.Scroll, s.Client)
	}
	p.do(chromedp.ResetViewport())
}

// picture takes one, if pictures are wanted. Its name begins with that of the
// test.
func (p *page) picture(name string) {
	p.Helper()
	if *screenshots == "" {
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.Fatal(err)
	}
	if err := os.MkdirAll(*screenshots, 0o755); err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*screenshots, strings.ReplaceAll(p.Name(), "/", "-")+"-"+name+".png"), png, 0o644); err != nil {
		p.Fatal(err)
	}
}

// quiet checks that the browser has nothing to complain about but messages that
// begin with one of these. It is the last that is done with a page.
func (p *page) quiet(but ...string) {
	p.Helper()
	const end = "this is the end"
	p.do(chromedp.Evaluate[chromedp.Void](`console.info("` + end + `")`))
messages:
	for m, err := range p.console {
		if err != nil {
			p.Fatal(err)
		}
		if m.Text == end {
			break
		}
		for _, prefix := range but {
			if strings.HasPrefix(m.Text, prefix) {
				continue messages
			}
		}
		if m.IsException() || m.Type == "error" || m.Type == "warning" {
			p.Errorf("on the console: %v", m)
		}
	}
}

// quote makes a string of JavaScript.
func quote(s string) string {
	b, _ := json.Marshal(s) // never fails for a string
	return string(b)
}
