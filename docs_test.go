package websocket_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/airlock-go/websocket/internal/wstest"
)

// TestRFCTable: what docs/rfc.md says to keep and to hold a rule is there.
func TestRFCTable(t *testing.T) {
	repo := newRepository(t)
	rows := tables(readDoc(t, "docs/rfc.md"), rfcColumns)
	if len(rows) < 100 {
		t.Fatalf("docs/rfc.md has %d rules", len(rows))
	}
	for _, row := range rows {
		for _, wrong := range repo.checkRFCRow(row) {
			t.Errorf("docs/rfc.md:%d: %s", row.line, wrong)
		}
	}
}

// TestSecurityTable: what docs/security.md says of threats is kept and held.
func TestSecurityTable(t *testing.T) {
	repo := newRepository(t)
	rows := tables(readDoc(t, "docs/security.md"), securityColumns)
	if len(rows) < 20 {
		t.Fatalf("docs/security.md has %d threats", len(rows))
	}
	for _, row := range rows {
		for _, wrong := range repo.checkRow(row) {
			t.Errorf("docs/security.md:%d: %s", row.line, wrong)
		}
	}
}

// TestRFCTableMistakes: were there a mistake, TestRFCTable would find it.
func TestRFCTableMistakes(t *testing.T) {
	repo := newRepository(t)
	for _, row := range tables(readDoc(t, "docs/rfc.md"), rfcColumns) {
		for i, span := range codeSpan.FindAllString(strings.Join(row.cells[2:], "|"), -1) {
			misspelt := tableRow{row.line, slices.Clone(row.cells)}
			for c := range misspelt.cells {
				misspelt.cells[c] = strings.Replace(misspelt.cells[c], span, span[:len(span)-1]+"x`", 1)
			}
			if len(repo.checkRFCRow(misspelt)) == 0 {
				t.Errorf("docs/rfc.md:%d: name %d could be misspelt, as %q", row.line, i, misspelt.cells)
			}
		}
	}
	const fine = "| 5.1 | MUST mask. *So it is.* | `close.go`, net/http | `TestKey//10 two`, `TestDialogues/tls`, `empty fragments (5.4)` |"
	for _, tt := range []struct {
		from, to string
		want     string // "" for none
	}{
		{"", "", ""},
		{"`close.go`, net/http", "application", ""},
		{"`close.go`, net/http", "—", ""},
		{"`TestKey//10 two`", "`FuzzRecv`", ""},
		{"`TestKey//10 two`", "`TestUTF8`", ""},
		{"`close.go`", "`clos.go`", "no file clos.go"},
		{"`close.go`", "`internal`", "no file internal"},
		{"`close.go`", "`frame/../close.go`", "no file frame/../close.go"},
		{"`close.go`", "close.go", `"close.go"`},
		{"net/http", "net/htp", `"net/htp"`},
		{"`close.go`, net/http", "", "column 3 is empty"},
		{"TestKey", "TestKay", "no test TestKay"},
		{"TestKey", "Testkey", "no dialogue Testkey//10 two"},
		{"TestKey", "TestPeer", "no test TestPeer"},
		{"TestKey", "TestHandshakeError", "no test TestHandshakeError has 10 two"},
		{"10 two", "10 too", "no test TestKey has 10 too"},
		{"10 two", "11 two", "no test TestKey has 11 two"},
		{"/tls", "/tsl", "no test TestDialogues has tsl"},
		{"TestDialogues/tls", "TestCloseByUs/tls", ""},
		{"TestDialogues/tls", "TestRecv/to a server/not masked", ""},
		{"TestDialogues/tls", "TestRecv/to a server/not UTF", "no test TestRecv has not UTF"},
		{"empty fragments (5.4)", "empty fragments", "no dialogue empty fragments"},
		{"empty fragments (5.4)", "empty fragments (5.5)", "no dialogue empty fragments (5.5)"},
		{"`TestKey//10 two`, `TestDialogues/tls`, `empty fragments (5.4)`", " ", "column 4 is empty"},
		{"`TestKey//10 two`, `TestDialogues/tls`, `empty fragments (5.4)`", "—", ""},
		{"*So it is.* | `close.go`, net/http", "| —", "no reason"},
		{"5.1", "5.", "section"},
		{"MUST mask. *So it is.*", "", "column 2 is empty"},
		{"| MUST mask.", "| MUST | mask.", "5 columns"},
	} {
		if !strings.Contains(fine, tt.from) {
			t.Fatalf("%q is not in the row", tt.from)
		}
		line := strings.Replace(fine, tt.from, tt.to, 1)
		text := "|" + strings.Join(rfcColumns, " | ") + "|\n|---|---|---|---|\n" + line + "\n"
		rows := tables(text, rfcColumns)
		if len(rows) != 1 || rows[0].line != 3 {
			t.Fatalf("%s\ngot rows %+v", text, rows)
		}
		wrong := repo.checkRFCRow(rows[0])
		if tt.want == "" && len(wrong) > 0 || tt.want != "" && (len(wrong) != 1 || !strings.Contains(wrong[0], tt.want)) {
			t.Errorf("%s\ngot %q, want %q", line, wrong, tt.want)
		}
	}
}

var (
	rfcColumns      = []string{"§", "rule", "kept in", "held by"}
	securityColumns = []string{"threat", "what is done", "kept in", "held by"}

	// rfcWords may stand in place of a file or a test.
	rfcWords = []string{"net/http", "application", "client", "prose", "—"}

	section  = regexp.MustCompile(`^\d+(\.\d+)*( item \d+)?$`)
	italics  = regexp.MustCompile(`\*[^*]+\.\*`)
	codeSpan = regexp.MustCompile("`([^`]*)`")
)

// checkRFCRow returns what is wrong with a row of docs/rfc.md.
func (repo *repository) checkRFCRow(row tableRow) (wrong []string) {
	wrong = repo.checkRow(row)
	if number := row.cells[0]; number != "" && !section.MatchString(number) {
		wrong = append(wrong, fmt.Sprintf("%q is no section", number))
	}
	return wrong
}

// checkRow returns what is wrong with a row whose second column says what is
// kept, the third where, and the fourth what holds it.
func (repo *repository) checkRow(row tableRow) (wrong []string) {
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if len(row.cells) != len(rfcColumns) {
		complain("%d columns, want %d", len(row.cells), len(rfcColumns))
		return wrong
	}
	for i, cell := range row.cells {
		if cell == "" {
			complain("column %d is empty", i+1)
		}
	}
	rule, kept, held := row.cells[1], row.cells[2], row.cells[3]
	files, words := splitCell(kept)
	for _, file := range files {
		if !repo.files[file] {
			complain("no file %s", file)
		}
	}
	names, more := splitCell(held)
	for _, name := range names {
		if err := repo.checkTest(name); err != nil {
			complain("%v", err)
		}
	}
	for _, word := range append(words, more...) {
		if !slices.Contains(rfcWords, word) {
			complain("%q is neither a name in code nor one of %q", word, rfcWords)
		}
		if word == "—" && !italics.MatchString(rule) {
			complain("there is no reason, in italics, for the —")
			break
		}
	}
	return wrong
}

// splitCell returns what stands in a cell as code, and the other elements of
// the list.
func splitCell(cell string) (code, words []string) {
	for _, m := range codeSpan.FindAllStringSubmatch(cell, -1) {
		code = append(code, m[1])
	}
	for word := range strings.SplitSeq(codeSpan.ReplaceAllString(cell, ""), ",") {
		if word = strings.TrimSpace(word); word != "" {
			words = append(words, word)
		}
	}
	return code, words
}

func readDoc(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// tableRow is a row of a table in Markdown.
type tableRow struct {
	line  int
	cells []string
}

// tables returns the rows of all tables with these columns. A cell has no |.
func tables(text string, columns []string) (rows []tableRow) {
	head, n := false, 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			head = false
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case slices.Equal(cells, columns):
			head = true
		case head && strings.Trim(line, "|-: ") != "":
			rows = append(rows, tableRow{n, cells})
		}
	}
	return rows
}

// repository is what documentation may name.
type repository struct {
	files     map[string]bool     // by path, with slashes
	decls     map[string][]goDecl // by name, "directory.Name"
	dialogues map[string]bool
}

// goDecl is a function, a variable or a constant outside of functions.
type goDecl struct {
	dir   string
	test  bool     // it is in a file of tests
	words []string // its strings, which may be names of subtests
	uses  []string // the identifiers in it, "package.Name" among them
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	repo := &repository{make(map[string]bool), make(map[string][]goDecl), make(map[string]bool)}
	for _, d := range wstest.Dialogues(t, dialogues) {
		repo.dialogues[d.Name] = true
	}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if file != "." && strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		file = filepath.ToSlash(file)
		repo.files[file] = true
		if path.Ext(file) == ".go" {
			return repo.addGo(file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// addGo adds the declarations of a file.
func (repo *repository) addGo(file string) error {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	add := func(name *ast.Ident, body ast.Node) {
		d := goDecl{dir: path.Dir(file), test: strings.HasSuffix(file, "_test.go")}
		ast.Inspect(body, d.visit)
		key := d.dir + "." + name.Name
		repo.decls[key] = append(repo.decls[key], d)
	}
	for _, decl := range f.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Recv == nil {
				add(decl.Name, decl)
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				if spec, ok := spec.(*ast.ValueSpec); ok {
					for _, name := range spec.Names {
						add(name, spec)
					}
				}
			}
		}
	}
	return nil
}

func (d *goDecl) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
			d.words = append(d.words, s)
		}
	case *ast.CompositeLit:
		d.words = append(d.words, rowName(n)...)
	case *ast.Ident:
		d.uses = append(d.uses, n.Name)
	case *ast.SelectorExpr:
		if x, ok := n.X.(*ast.Ident); ok {
			d.uses = append(d.uses, x.Name+"."+n.Sel.Name)
		}
	}
	return true
}

// rowName returns the name of a handshakeRow, if n is one, as its String gives
// it.
func rowName(n *ast.CompositeLit) []string {
	fields := make(map[string]string)
	for _, elt := range n.Elts {
		if kv, ok := elt.(*ast.KeyValueExpr); ok {
			key, _ := kv.Key.(*ast.Ident)
			switch v := kv.Value.(type) {
			case *ast.BasicLit:
				fields[fmt.Sprint(key)] = v.Value
			case *ast.Ident:
				fields[fmt.Sprint(key)] = v.Name
			}
		}
	}
	name, err := strconv.Unquote(fields["name"])
	if err != nil || fields["number"] == "" {
		return nil
	}
	if fields["number"] == "accepted" {
		fields["number"] = strconv.Itoa(accepted)
	}
	return []string{fields["number"] + " " + name}
}

var isTest = regexp.MustCompile(`^(Test|Fuzz)[^a-z]`)

// checkTest reports that there is no dialogue or test of this name, or none
// that could have this subtest: that one of the elements behind a slash is no
// string in the test or in what it uses. An empty element is for all.
func (repo *repository) checkTest(name string) error {
	test, subtest, _ := strings.Cut(name, "/")
	if !isTest.MatchString(test) {
		if !repo.dialogues[name] {
			return fmt.Errorf("no dialogue %s", name)
		}
		return nil
	}
	err := fmt.Errorf("no test %s", test)
	for key, decls := range repo.decls {
		if !strings.HasSuffix(key, "."+test) || !decls[0].test {
			continue
		}
		words := make(map[string]bool)
		repo.collect(key, words, make(map[string]bool))
		missing := ""
		for element := range strings.SplitSeq(subtest, "/") {
			if element != "" && !words[element] {
				missing = element
			}
		}
		if missing == "" {
			return nil
		}
		err = fmt.Errorf("no test %s has %s", test, missing)
	}
	return err
}

// collect adds the strings of a declaration and of all that it uses to words.
func (repo *repository) collect(key string, words, seen map[string]bool) {
	if seen[key] {
		return
	}
	seen[key] = true
	for _, d := range repo.decls[key] {
		for _, w := range d.words {
			words[w] = true
		}
		for _, name := range d.uses {
			if pkg, name, ok := strings.Cut(name, "."); ok {
				repo.collect("internal/"+pkg+"."+name, words, seen)
			} else {
				repo.collect(d.dir+"."+pkg, words, seen)
			}
		}
	}
}
