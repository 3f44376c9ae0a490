package conformance

// A quirk is something that the reference server does otherwise than it ought
// to, as real servers do it.
type quirk struct {
	text    string
	allowed bool // by the RFCs
	size    bool // it has to do with the size of messages
}

// allQuirks are in the order of the lines below.
var allQuirks []*quirk

// wrong is for a mistake, which the suite has to find.
func wrong(text string) *quirk { return add(&quirk{text: text}) }

// wrongSize is for a mistake that shows in large messages.
func wrongSize(text string) *quirk { return add(&quirk{text: text, size: true}) }

// allowed is for something that is as good, which the suite has to let pass.
func allowed(text string) *quirk { return add(&quirk{text: text, allowed: true}) }

func add(q *quirk) *quirk {
	allQuirks = append(allQuirks, q)
	return q
}

// Mistakes in the opening handshake.
var (
	acceptsPOST          = wrong("accepts methods other than GET")
	ignoresCase          = wrong("takes get for GET")
	acceptsOldHTTP       = wrong("accepts HTTP/1.0")
	acceptsNewHTTP       = wrong("accepts HTTP/2.0 in the request line")
	wantsHTTP11          = wrong("accepts HTTP/1.1 and no later minor version")
	wantsPaths           = wrong("does not know the absolute form of a target")
	wantsNoQuery         = wrong("knows its path without a query only")
	limitsRequests       = wrong("refuses requests of more than 4 KiB")
	wantsBlanks          = wrong("ignores fields without a blank behind the colon")
	trimsNames           = wrong("accepts blanks before the colon")
	keepsBlanks          = wrong("takes blanks around a value for a part of it")
	comparesNames        = wrong("knows the names of fields in the spelling of the RFC only")
	refusesContentLength = wrong("refuses Content-Length, whatever it says")
	acceptsNoHost        = wrong("accepts requests without Host, or with two")
	acceptsBodies        = wrong("accepts requests with a body and reads it as frames")
	ignoresBadLengths    = wrong("takes a Content-Length that is no number for none")
	ignoresConnection    = wrong("does not look at Connection")
	ignoresUpgrade       = wrong("does not look at Upgrade")
	comparesConnection   = wrong("wants Connection to be Upgrade, to the letter")
	wantsOneUpgrade      = wrong("wants websocket to stand alone in Upgrade")
	refusesUnknownFields = wrong("refuses fields of the handshake that it does not know")
	comparesUpgrade      = wrong("wants websocket in Upgrade in lower case")
	readsFirstUpgrade    = wrong("reads the first element of Upgrade alone")
	readsFirstLine       = wrong("reads the first line of a list alone")
	searchesTokens       = wrong("searches lists for a piece of text rather than for an element")
	ignoresVersion       = wrong("does not look at Sec-WebSocket-Version")
	acceptsVersion8      = wrong("accepts version 8")
	acceptsVersionLists  = wrong("accepts a list of versions with 13 in it")
	hidesFields          = wrong("refuses without the fields that say what would be right")
	refusesWith200       = wrong("refuses with status 200")
	stays                = wrong("does not close the connection behind a refusal")
	ignoresKey           = wrong("does without Sec-WebSocket-Key")
	acceptsAnyKey        = wrong("accepts any key")
	acceptsShortKeys     = wrong("accepts keys of any length")
	countsKeyCharacters  = wrong("accepts 24 characters of whatever kind as a key")
	acceptsTwice         = wrong("accepts a second key and a second version, and reads the first")
	hashesBytes          = wrong("hashes the bytes of the key rather than its text")
	answersSample        = wrong("answers every key as that of the RFC")
	unescapesKey         = wrong("takes the plus signs of a key for blanks")
	recodesKey           = wrong("decodes the key and hashes what it encodes from that")
	writesHex            = wrong("answers the key in hexadecimal digits")
	comparesBeginnings   = wrong("compares the beginning of an origin")
	ignoresSchemes       = wrong("compares the host of an origin alone")
	refusesOrigins       = wrong("refuses pages of its own origin as well")
	acceptsOrigins       = wrong("accepts pages of every origin")
	ignoresProtocols     = wrong("does not check the syntax of Sec-WebSocket-Protocol")
	ignoresExtensions    = wrong("does not check the syntax of Sec-WebSocket-Extensions")
	choosesUnoffered     = wrong("chooses a subprotocol, whatever is offered")
	returnsProtocols     = wrong("chooses all subprotocols that are offered")
	choosesNone          = wrong("chooses the subprotocol with the empty name")
	choosesFirst         = wrong("chooses the first subprotocol, whichever it is")
	lowersProtocols      = wrong("chooses the first subprotocol, in lower case")
	returnsExtensions    = wrong("answers the extensions that are offered, word for word")
	announcesBody        = wrong("sends Content-Length with 101")
	announcesChunks      = wrong("sends Transfer-Encoding with 101")
	repeatsVersion       = wrong("sends Sec-WebSocket-Version with 101")
	dropsEarlyData       = wrong("loses what comes together with the handshake")
)

// Mistakes in frames.
var (
	acceptsUnmasked        = wrong("accepts frames without a mask")
	refusesZeroKeys        = wrong("takes a key of zeros for no mask")
	restartsMask           = wrong("begins the mask anew with every read")
	ignoresRSV             = wrong("ignores the reserved bits")
	ignoresRSV23           = wrong("ignores the second and third reserved bits")
	ignoresReservedData    = wrong("skips frames of reserved data opcodes")
	ignoresReservedControl = wrong("skips frames of reserved control opcodes")
	acceptsLongLengths     = wrong("accepts lengths that are not in their shortest form")
	acceptsTopBit          = wrong("drops the highest bit of a length")
	overflowsLengths       = wrong("believes every length")
	readsSigned64          = wrong("takes lengths of 64 bits for signed numbers, and negative ones for 0")
	checksFramesLate       = wrong("looks at a frame when all of it has come")
	readsSigned16          = wrong("takes lengths of 16 bits for signed numbers")
	masks                  = wrong("masks its frames")
	writesLongLengths      = wrong("sends short frames with lengths of 16 bits")
	misses125              = wrong("sends 125 bytes with a length of 16 bits")
	misses65535            = wrong("sends 65535 bytes with a length of 64 bits")
	cutsLengths            = wrong("sends the lowest 16 bits of a length")
)

// Mistakes in control frames.
var (
	emptiesPongs        = wrong("answers pings with an empty pong")
	stringsPongs        = wrong("ends the payload of a pong at its first zero byte")
	answersPingsLate    = wrong("answers pings at the end of a message")
	ignoresPings        = wrong("answers pings behind the next message")
	refusesFullControl  = wrong("refuses control frames of 125 bytes")
	acceptsLongControl  = wrong("accepts control frames of more than 125 bytes")
	acceptsControlParts = wrong("accepts control frames in fragments")
	refusesPongs        = wrong("refuses pongs that it did not ask for")
	answersPongs        = wrong("answers pongs with pongs")
	breaksOffAtControl  = wrong("forgets the message under way when a control frame comes")
	mixesControl        = wrong("takes the payload of a ping into the message under way")
)

// Mistakes in messages.
var (
	acceptsStrayParts   = wrong("takes a continuation of nothing for a message")
	acceptsInterleaving = wrong("lets a new message take the place of one under way")
	reversesFragments   = wrong("joins fragments in the wrong order")
	forgetsEmptyEnds    = wrong("does not see the end of a message in an empty fragment")
	echoesFragments     = wrong("echoes each fragment as a message")
	limitsFragments     = wrong("refuses messages of more than 16 fragments")
	stopsAt64K          = wrongSize("closes TCP at messages of more than 64 KiB")

	addsUpMessages   = wrongSize("has a limit of 256 KiB for all messages together")
	readsOneFrame    = wrong("loses the frames that came in the same read")
	reorders         = wrong("echoes the second of two messages first")
	mergesRepeats    = wrong("echoes equal messages once")
	echoesText       = wrong("echoes binary as text")
	echoesBinary     = wrong("echoes text as binary")
	stopsAtNUL       = wrong("ends messages at their first zero byte")
	dropsEmpty       = wrong("does not echo empty messages")
	changesLineEnds  = wrong("echoes the line ends of text as line feeds")
	countsCharacters = wrong("sends as many bytes of a text as it has characters")
)

// Mistakes in UTF-8.
var (
	ignoresUTF8          = wrong("does not check UTF-8")
	checksFragments      = wrong("wants every fragment to be UTF-8 by itself")
	checksTextLate       = wrong("checks UTF-8 at the end of a message")
	acceptsCutText       = wrong("accepts text that ends within a character")
	acceptsOverlong      = wrong("accepts overlong forms")
	replacesBadText      = wrong("puts U+FFFD in the place of what is not UTF-8")
	refusesNoncharacters = wrong("refuses noncharacters and what is not assigned")
	refusesFourBytes     = wrong("refuses characters of four bytes")
	dropsMarks           = wrong("drops byte order marks")
	composes             = wrong("composes characters")
	acceptsSurrogates    = wrong("accepts surrogates")
	acceptsAbove         = wrong("accepts characters beyond U+10FFFF")
)

// Mistakes at the end.
var (
	acceptsHalfCodes     = wrong("accepts half a close code")
	acceptsLowCodes      = wrong("accepts close codes below 1000")
	acceptsReservedCodes = wrong("accepts 1004, 1005, 1006 and 1015 as close codes")
	acceptsUnknownCodes  = wrong("accepts the close codes that nobody has registered")
	acceptsHighCodes     = wrong("accepts close codes from 5000")
	refusesPrivateCodes  = wrong("refuses close codes of libraries and applications")
	refusesNewCodes      = wrong("refuses the close codes that came after the RFC")
	ignoresReasons       = wrong("does not check the reason for being UTF-8")
	echoesReasons        = allowed("sends the reason of a close frame back")
	prefixesReasons      = wrong("sends the reason back with words in front, however long it gets")
	staysHalfOpen        = wrong("does not notice that the client has ended TCP")
	echoesHalves         = wrong("takes what has come for a message when TCP ends")
	endsWith1006         = wrong("closes idle connections with 1006")
	answers1000          = wrong("answers every close frame with 1000")
	answers1005          = wrong("answers a close frame without a code with 1005")
	ignoresClose         = wrong("does not answer close frames")
	closesSilently       = wrong("closes TCP in place of an answer to a close frame")
	echoesAfterClose     = wrong("goes on behind its close frame")
	neverClosesTCP       = wrong("leaves the closing of TCP to the client")
	failsSilently        = wrong("closes TCP without a close frame when something is wrong")
	failsWithOneCode     = wrong("has 1002 for everything that is wrong")
	failsNormally        = wrong("has 1000 for everything that is wrong")
)

// Mistakes in permessage-deflate.
var (
	forcesDeflate           = wrong("answers permessage-deflate to everyone")
	takesFirstOffer         = wrong("reads the first offer of an extension alone")
	ignoresBadValues        = wrong("accepts parameters with any values")
	acceptsUnknownParams    = wrong("accepts parameters that do not exist")
	acceptsParamsTwice      = wrong("accepts parameters that stand twice")
	ignoresServerNoTakeover = wrong("does not answer server_no_context_takeover")
	neverResets             = wrong("promises server_no_context_takeover and forgets it")
	forgetsServerWindow     = wrong("does not answer server_max_window_bits")
	exceedsWindow           = wrong("promises a window and exceeds it")
	raisesWindow8           = wrong("answers a window of 8 bits with one of 9")
	answersClientWindow     = wrong("answers client_max_window_bits to everyone")
	forgetsTail             = wrong("decompresses without the four bytes of the tail")
	leavesTail              = wrong("sends the four bytes of the tail")
	forgetsHistory          = wrong("begins every message with an empty window")
	keepsHistory            = wrong("keeps the window that the client has promised not to use")
	stopsAtFinalBlock       = wrong("reads no further than a final block")
	acceptsCorrupt          = wrong("echoes as much of a corrupt stream as it can read")
	ignoresPackedText       = wrong("does not check UTF-8 of what was compressed")
	acceptsPackedParts      = wrong("accepts the first reserved bit on every fragment")
	acceptsPackedControl    = wrong("accepts the first reserved bit on control frames")
	wantsAllPacked          = wrong("refuses messages that are not compressed")
	packsParts              = wrong("sets the first reserved bit on every fragment")
)

// What the RFCs allow.
var (
	ignoresControls    = allowed("accepts control characters in fields")
	echoesInParts      = allowed("echoes in fragments")
	answersLastPing    = allowed("answers the last of several pings")
	pingsToo           = allowed("sends pings and pongs of its own")
	refusesWith400     = allowed("refuses with 400, whatever is wrong")
	declines           = allowed("does not compress")
	packsSome          = allowed("compresses messages of more than 20 bytes")
	neverTakesOver     = allowed("begins every message with an empty window and says so")
	wantsNoTakeover    = allowed("wants the client to begin every message with an empty window")
	packsInFinalBlocks = allowed("ends every compressed message with a final block")
)
