package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// proxy is a way to run a proxy with the configuration of docs/proxies.md.
type proxy struct {
	name  string
	fence string // of its blocks in the document

	// config makes a configuration file of the blocks.
	config func(t *testing.T, blocks []string, p place) string
	// command runs the proxy in the foreground with that file.
	command func(t *testing.T, file string, p place) *exec.Cmd
}

// place is where a proxy listens and works.
type place struct {
	ws, wss  string // addresses to listen on
	upstream string // address of the server behind
	dir      string // for whatever it writes
	pem      string // file of the certificate and its key
}

var proxies = []*proxy{&nginx, &haproxy, &caddy}

var nginx = proxy{
	name: "nginx", fence: "nginx",
	config: func(t *testing.T, blocks []string, p place) string {
		if len(blocks) != 2 {
			t.Fatalf("%d blocks for nginx, want the server and worker_shutdown_timeout", len(blocks))
		}
		server := edit(t, blocks[0],
			"listen 80;", "listen "+p.ws+";",
			"listen 443 ssl;", "listen "+p.wss+" ssl;",
			"/etc/nginx/example.com.crt", p.pem,
			"/etc/nginx/example.com.key", p.pem,
			"location /ws {", "location / {",
			"127.0.0.1:8080", p.upstream)
		user := ""
		if os.Geteuid() == 0 {
			user = "user root;" // the directories of tests are nobody else's
		}
		return fmt.Sprintf(`%s
daemon off; worker_processes 1; pid nginx.pid; error_log stderr;
%s
events {}
http {
access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
%s
}
`, user, edit(t, blocks[1], "30s", "4s"), server)
	},
	command: func(t *testing.T, file string, p place) *exec.Cmd {
		return exec.Command(installed(t, "/usr/sbin/nginx"), "-p", p.dir, "-c", file, "-e", "stderr")
	},
}

var haproxy = proxy{
	name: "haproxy", fence: "haproxy",
	config: func(t *testing.T, blocks []string, p place) string {
		return edit(t, blocks[0],
			"hard-stop-after 30s", "hard-stop-after 4s",
			"bind :80\n", "bind "+p.ws+"\n",
			"bind :443 ", "bind "+p.wss+" ",
			"/etc/haproxy/example.com.pem", p.pem,
			"127.0.0.1:8080", p.upstream)
	},
	command: func(t *testing.T, file string, _ place) *exec.Cmd {
		return exec.Command(installed(t, "/usr/sbin/haproxy"), "-db", "-f", file)
	},
}

var caddy = proxy{
	name: "caddy", fence: "caddyfile",
	config: func(t *testing.T, blocks []string, p place) string {
		site := edit(t, blocks[0], "127.0.0.1:8080", p.upstream)
		return "{\nadmin off\nauto_https disable_redirects\n}\n" +
			edit(t, site, "example.com {", "http://"+p.ws+" {") +
			edit(t, site, "example.com {", "https://"+p.wss+" {\ntls "+p.pem+" "+p.pem)
	},
	command: func(t *testing.T, file string, p place) *exec.Cmd {
		cmd := exec.Command(installed(t, "/usr/bin/caddy"), "run", "--config", file, "--adapter", "caddyfile")
		cmd.Env = append(os.Environ(), "HOME="+p.dir, "XDG_DATA_HOME="+p.dir, "XDG_CONFIG_HOME="+p.dir)
		return cmd
	},
}

// front is a proxy at work.
type front struct {
	*process
	place
}

// start runs the proxy in front of a server, with the documented configuration
// but for edits: pairs of what stands there and what stands there now.
func (x *proxy) start(t *testing.T, upstream string, edits ...string) *front {
	t.Helper()
	dir, err := os.MkdirTemp("", x.name) // t.TempDir may have a $ in it, which is nginx's for variables
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := place{ws: freeAddr(t), wss: freeAddr(t), upstream: upstream, dir: dir}
	p.pem = filepath.Join(p.dir, "certificate.pem")
	writeFile(t, p.pem, selfSigned(t))
	blocks := fences(t, "../docs/proxies.md", x.fence)
	blocks[0] = edit(t, blocks[0], edits...)
	file := filepath.Join(p.dir, "config")
	writeFile(t, file, x.config(t, blocks, p))
	f := &front{start(t, x.command(t, file, p)), p}
	f.listening(p.ws)
	f.listening(p.wss)
	return f
}

// fences returns what a document has in fences of a kind.
func fences(t *testing.T, file, kind string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?ms)^```"+kind+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, m[1])
	}
	if len(blocks) == 0 {
		t.Fatalf("%s has no fence of %s", file, kind)
	}
	return blocks
}

// edit replaces, in text, the first of each pair by the second. The first has to
// stand there exactly once.
func edit(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if n := strings.Count(text, pairs[i]); n != 1 {
			t.Fatalf("%q stands %d times in\n%s", pairs[i], n, text)
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

func writeFile(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// freeAddr returns an address for a program that has to be told one. Its port is
// below those that the system gives to connections.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+mathrand.IntN(20_000))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// selfSigned returns a certificate for 127.0.0.1 and its key.
func selfSigned(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
