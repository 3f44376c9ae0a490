package field

import (
	"strconv"
	"strings"
)

// quoteMax is how many bytes of a foreign string Quote shows.
const quoteMax = 100

var markup = strings.NewReplacer("<", `\x3c`, ">", `\x3e`, "&", `\x26`)

// Quote returns s as it may be shown in an error or a response that s must not
// change: in quotes, in ASCII, without markup, and cut where it is long.
func Quote(s string) string {
	cut := ""
	if len(s) > quoteMax {
		s, cut = s[:quoteMax], "..."
	}
	return markup.Replace(strconv.QuoteToASCII(s)) + cut
}
