package interop

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/url"
	"os"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestTunnelBrowserHTTP3: Chromium has WebSocket over HTTP/3 behind a flag.
func TestTunnelBrowserHTTP3(t *testing.T) {
	t.Parallel()
	server := startVersions(t, withConnect)
	browser := startQUICBrowser(t, server.urls["https"])
	converseAll(t, server, browser, "CONNECT over HTTP/3")
	leaveAll(t, server, browser, "CONNECT over HTTP/3", "ended with 1001: ")
}

// startQUICBrowser starts a browser that talks QUIC to a server.
func startQUICBrowser(t *testing.T, rawURL string) context.Context {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", u.Host, anyCertificate)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	key, err := x509.MarshalPKIXPublicKey(conn.ConnectionState().PeerCertificates[0].PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(key)
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(installed(t, "/usr/bin/chromium")), chromedp.UserDataDir(profile),
		chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true), chromedp.Flag("enable-quic", true),
		chromedp.Flag("origin-to-force-quic-on", u.Host),
		chromedp.Flag("enable-features", "EnableWebsocketsOverHttp3"),
		chromedp.Flag("ignore-certificate-errors-spki-list", base64.StdEncoding.EncodeToString(hash[:])))
	allocator, release := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		ending, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := chromedp.Cancel(ending); err != nil {
			t.Error("closing the browser: ", err)
		}
		release()
		os.RemoveAll(profile)
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal("the browser does not start: ", err)
	}
	return ctx
}
