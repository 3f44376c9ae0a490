"""Inflates messages of permessage-deflate with zlib, with a window of exactly
the size that was agreed on (deflate_window_test.go).

zlib refuses a distance that leads beyond its window, but what one call has put
out counts as well, so that with larger pieces it lets pass what is wrong. Here
every byte has a call of its own.
"""

import base64
import json
import sys
import zlib


def inflate(z, data):
    out = bytearray()
    for i in range(len(data)):
        rest = data[i : i + 1]
        while True:
            byte = z.decompress(rest, 1)
            rest = z.unconsumed_tail
            if not byte:
                break
            out += byte
    return bytes(out)


def inflate_all(bits, alone, messages):
    z = zlib.decompressobj(-bits)
    for message in messages:
        if alone:
            z = zlib.decompressobj(-bits)
        yield inflate(z, base64.b64decode(message) + b"\x00\x00\xff\xff")


for line in sys.stdin:
    try:
        answer = {"messages": [base64.b64encode(m).decode() for m in inflate_all(**json.loads(line))]}
    except zlib.error as err:
        answer = {"failed": str(err)}
    print(json.dumps(answer), flush=True)
