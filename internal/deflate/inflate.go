package deflate

import (
	"encoding/binary"
	"errors"
	"sync"
)

// ErrCorrupt is what all errors of an Inflater wrap: the bytes are no DEFLATE
// stream, or one that reaches back too far.
var ErrCorrupt = errors.New("deflate: corrupt data")

// A corruption is an ErrCorrupt with its reason.
type corruption string

func (c corruption) Error() string { return ErrCorrupt.Error() + ": " + string(c) }
func (c corruption) Unwrap() error { return ErrCorrupt }

const (
	errBlockType    corruption = "reserved type of block"
	errStoredLength corruption = "length of a stored block and its complement do not fit"
	errTooManyCodes corruption = "too many codes"
	errNoRepeat     corruption = "repeats a code length before the first"
	errTooManyLens  corruption = "more code lengths than codes"
	errCode         corruption = "code lengths that make no code"
	errNoEndOfBlock corruption = "no code for the end of the block"
	errUnusedCode   corruption = "code that stands for nothing"
	errDistance     corruption = "reference to before the window"
)

// errPause ends Next: there is no room, or not enough input.
var errPause = errors.New("deflate: paused")

// maxPair is the most bits that a length and a distance take.
const maxPair = maxCodeLen + 5 + maxCodeLen + 13

// matchRoom is what a match takes at most: it is copied in words.
const matchRoom = maxMatch + wordBytes - 1

// An Inflater decompresses one message, piece by piece as it comes (RFC 7692,
// section 7.2.2). A block that says it is the last one does not end the message:
// others may follow at the next byte (section 7.2.3.4). It is not safe for
// concurrent use.
type Inflater struct {
	src   []byte // what Next has not taken yet
	bits  uint64 // what was taken and is not used yet; zero above nbits
	nbits uint

	step  func(*Inflater) error // what to read next
	final bool                  // there may be padding after this block
	empty bool                  // an empty stored block was the last that came
	err   error

	stored   int                              // bytes left of a stored block
	ordered  int                              // how many lengths the code for code lengths has
	lengths  [maxLiterals + maxDistance]uint8 // of the codes of a dynamic block
	read     int                              // how many of them are there
	codes    int                              // how many there will be
	literals int                              // how many of them are of literals
	lit      *table                           // the codes of this block
	dist     *table

	// The history ends at end. It is at least the window, or all there is.
	window  int
	end     int
	history [1<<MaxWindowBits + 8<<10]byte

	litTable, distTable table
}

var inflaters = sync.Pool{New: func() any { return new(Inflater) }}

// NewInflater returns an inflater for a message that may refer to dict, the end
// of the messages before, and to itself, at most 1<<windowBits bytes back. It
// copies dict.
func NewInflater(dict []byte, windowBits int) *Inflater {
	f := inflaters.Get().(*Inflater)
	f.window = 1 << windowBits
	f.end = copy(f.history[:], dict[max(0, len(dict)-f.window):])
	f.bits, f.nbits = 0, 0
	f.step = (*Inflater).blockHeader
	f.empty = false
	f.err = nil
	return f
}

// Release gives the memory back. f must not be used any more.
func (f *Inflater) Release() { inflaters.Put(f) }

// Next takes the first n bytes of src and returns what came of them, which is
// valid until the next call. As long as out is not empty there may be more to come,
// even of bytes that were taken before: call again, with src[n:]. When it is empty,
// all of src was taken. An error comes alone, after all output before it, and
// stays. What comes out does not depend on how the message was cut.
func (f *Inflater) Next(src []byte) (out []byte, n int, err error) {
	if len(f.history)-f.end < matchRoom {
		f.end = copy(f.history[:], f.history[f.end-f.window:f.end])
	}
	f.src = src
	start := f.end
	for f.err == nil {
		if err := f.step(f); err == errPause {
			break
		} else if err != nil {
			f.err = err
		}
	}
	n = len(src) - len(f.src)
	f.src = nil
	if f.end > start {
		return f.history[start:f.end:f.end], n, nil
	}
	return nil, n, f.err
}

// Done reports whether the message may end here: the last that came was an empty
// stored block. Its end is Tail, which the caller gives to Next after the message.
func (f *Inflater) Done() bool { return f.empty }

// AppendWindow appends to dst what the next message may refer to: the last max
// bytes of dict and the output, or fewer if the window is smaller or there are
// not so many.
func (f *Inflater) AppendWindow(dst []byte, max int) []byte {
	n := min(max, f.window, f.end)
	return append(dst, f.history[f.end-n:f.end]...)
}

// need reports whether there are n bits, at most 57, in f.bits.
func (f *Inflater) need(n uint) bool {
	for f.nbits < n && len(f.src) > 0 {
		f.bits |= uint64(f.src[0]) << f.nbits
		f.nbits += 8
		f.src = f.src[1:]
	}
	return f.nbits >= n
}

// take removes n bits that are there.
func (f *Inflater) take(n uint) int {
	v := f.bits & (1<<n - 1)
	f.bits >>= n
	f.nbits -= n
	return int(v)
}

func (f *Inflater) blockHeader() error {
	if !f.need(3) {
		return errPause
	}
	header := f.take(3)
	f.final = header&1 != 0
	f.empty = false
	switch header &^ 1 {
	case storedBlock:
		f.take(f.nbits % 8)
		f.step = (*Inflater).storedHeader
	case fixedBlock:
		f.lit, f.dist = &fixedLiteralTable, &fixedDistanceTable
		f.step = (*Inflater).symbols
	case dynamicBlock:
		f.lit, f.dist = &f.litTable, &f.distTable
		f.step = (*Inflater).dynamicHeader
	default:
		return errBlockType
	}
	return nil
}

func (f *Inflater) blockEnd() error {
	if f.final {
		f.take(f.nbits % 8)
	}
	f.step = (*Inflater).blockHeader
	return nil
}

func (f *Inflater) storedHeader() error {
	if !f.need(32) {
		return errPause
	}
	f.stored = f.take(16)
	if f.take(16) != f.stored^0xffff {
		return errStoredLength
	}
	f.empty = f.stored == 0
	f.step = (*Inflater).storedBytes
	return nil
}

func (f *Inflater) storedBytes() error {
	for f.stored > 0 {
		room := f.history[f.end:min(len(f.history), f.end+f.stored)]
		if len(room) == 0 || f.nbits == 0 && len(f.src) == 0 {
			return errPause
		}
		n := 1
		if f.nbits > 0 {
			room[0] = byte(f.take(8))
		} else {
			n = copy(room, f.src)
			f.src = f.src[n:]
		}
		f.end += n
		f.stored -= n
	}
	f.step = (*Inflater).blockEnd
	return nil
}

func (f *Inflater) dynamicHeader() error {
	if !f.need(14) {
		return errPause
	}
	f.literals = f.take(5) + endOfBlock + 1
	distances := f.take(5) + 1
	if f.literals > maxLiterals || distances > maxDistance {
		return errTooManyCodes
	}
	f.codes = f.literals + distances
	f.ordered = f.take(4) + 4
	f.step = (*Inflater).codeLengthCode
	return nil
}

// codeLengthCode reads the code of the code lengths into the table for
// distances, which is not in use yet.
func (f *Inflater) codeLengthCode() error {
	if !f.need(3 * uint(f.ordered)) {
		return errPause
	}
	var lengths [len(codeLengthOrder)]uint8
	for _, i := range codeLengthOrder[:f.ordered] {
		lengths[i] = uint8(f.take(3))
	}
	if !f.distTable.build(lengths[:], codeLengthMeanings[:]) {
		return errCode
	}
	f.read = 0
	f.step = (*Inflater).codeLengths
	return nil
}

func (f *Inflater) codeLengths() error {
	for f.read < f.codes {
		f.need(7 + 7)
		e := f.distTable.fast[f.bits%(1<<fastBits)]
		if e.codeLen()+e.extra() > f.nbits {
			return errPause
		}
		if e.kind() == noCode {
			return errUnusedCode
		}
		f.take(e.codeLen())
		extra := f.take(e.extra())
		n, length := 1, uint8(e.value())
		switch length {
		case repeatLast:
			if f.read == 0 {
				return errNoRepeat
			}
			n, length = 3+extra, f.lengths[f.read-1]
		case repeatZero:
			n, length = 3+extra, 0
		case repeatZeroLong:
			n, length = 11+extra, 0
		}
		if f.read+n > f.codes {
			return errTooManyLens
		}
		for range n {
			f.lengths[f.read] = length
			f.read++
		}
	}
	if f.lengths[endOfBlock] == 0 {
		return errNoEndOfBlock
	}
	if !f.litTable.build(f.lengths[:f.literals], literalMeanings[:]) ||
		!f.distTable.build(f.lengths[f.literals:f.codes], distanceMeanings[:]) {
		return errCode
	}
	f.step = (*Inflater).symbols
	return nil
}

// symbols reads literals and references up to the end of the block. It looks each
// of them up whether or not all of its bits are there, and then pauses if they are
// not, so that there is one loop, and nothing in it to go on with later.
func (f *Inflater) symbols() error {
	src, b, nb, end := f.src, f.bits, f.nbits, f.end
	lit, dist := f.lit, f.dist
	for {
		if end > len(f.history)-matchRoom {
			return f.leave(src, b, nb, end, errPause)
		}
		if nb < maxPair {
			if len(src) >= 8 {
				b |= binary.LittleEndian.Uint64(src) << nb
				src = src[(63-nb)/8:]
				nb |= 56
			} else {
				for ; nb < maxPair && len(src) > 0; src = src[1:] {
					b |= uint64(src[0]) << nb
					nb += 8
				}
			}
		}
		e := lit.fast[b%(1<<fastBits)]
		if e&longCode != 0 {
			e = lit.long(b)
		}
		n := e.codeLen()
		if e&literal != 0 && n <= nb {
			f.history[end] = byte(e.value())
			end++
			b >>= n
			nb -= n
			continue
		}
		if e.kind() != 0 {
			switch {
			case n > nb:
				return f.leave(src, b, nb, end, errPause)
			case e&noCode != 0:
				return f.leave(src, b, nb, end, errUnusedCode)
			}
			f.step = (*Inflater).blockEnd
			return f.leave(src, b>>n, nb-n, end, nil)
		}
		length := e.value() + int(b>>n&(1<<e.extra()-1))
		n += e.extra()

		e = dist.fast[b>>n%(1<<fastBits)]
		if e&longCode != 0 {
			e = dist.long(b >> n)
		}
		n += e.codeLen()
		distance := e.value() + int(b>>n&(1<<e.extra()-1))
		n += e.extra()
		switch {
		case n > nb:
			return f.leave(src, b, nb, end, errPause)
		case e&noCode != 0:
			return f.leave(src, b, nb, end, errUnusedCode)
		case distance > min(end, f.window):
			return f.leave(src, b, nb, end, errDistance)
		}
		b >>= n
		nb -= n
		from, to := end-distance, end+length
		if distance >= wordBytes {
			for ; end < to; end, from = end+wordBytes, from+wordBytes {
				binary.LittleEndian.PutUint64(f.history[end:], binary.LittleEndian.Uint64(f.history[from:]))
			}
			end = to
		}
		for end < to {
			end += copy(f.history[end:to], f.history[from:end])
		}
	}
}

// leave ends symbols, which has the state in variables of its own.
func (f *Inflater) leave(src []byte, b uint64, nb uint, end int, err error) error {
	f.src, f.nbits, f.end = src, nb, end
	f.bits = b & (1<<nb - 1)
	return err
}
