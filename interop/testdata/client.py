"""A client made with websockets, led by lines of JSON (scripts_test.go)."""

import asyncio
import base64
import json
import ssl
import sys

import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

any_certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
any_certificate.check_hostname = False
any_certificate.verify_mode = ssl.CERT_NONE


def close_frame(socket):
    return {"closed": {"code": socket.close_code, "reason": socket.close_reason}}


def options(offer):
    """What connect takes for an offer; 0 bits are none, and -1 are any."""
    if offer is None:
        return {}
    client_bits = offer["client_max_window_bits"]
    factory = ClientPerMessageDeflateFactory(
        server_no_context_takeover=offer["server_no_context_takeover"],
        client_no_context_takeover=offer["client_no_context_takeover"],
        server_max_window_bits=offer["server_max_window_bits"] or None,
        client_max_window_bits={0: None, -1: True}.get(client_bits, client_bits),
    )
    return {"compression": None, "extensions": [factory]}


def agreed(extensions):
    if not extensions:
        return None
    (deflate,) = extensions
    return {
        "server_no_context_takeover": deflate.remote_no_context_takeover,
        "client_no_context_takeover": deflate.local_no_context_takeover,
        "server_max_window_bits": deflate.remote_max_window_bits,
        "client_max_window_bits": deflate.local_max_window_bits,
    }


class Client:
    socket = None
    messages = []  # for exchange

    async def dial(self, url, origin=None, subprotocols=None, compression=None, **_):
        try:
            self.socket = await websockets.connect(
                url,
                origin=origin,
                subprotocols=subprotocols,
                ssl=any_certificate if url.startswith("wss:") else None,
                **options(compression),
            )
        except websockets.InvalidStatusCode as err:
            return {"refused": err.status_code}
        return {
            "subprotocol": self.socket.subprotocol or "",
            "agreed": agreed(self.socket.extensions),
        }

    async def send(self, text=None, binary="", fragmented=False, **_):
        message = base64.b64decode(binary) if text is None else text
        if fragmented:  # by characters, where it is text
            size = 4093
            message = [message[i : i + size] for i in range(0, len(message), size)]
        await self.socket.send(message)
        return {}

    async def receive(self, **_):
        try:
            message = await self.socket.recv()
        except websockets.ConnectionClosed:
            return close_frame(self.socket)
        if isinstance(message, str):
            return {"text": message}
        return {"binary": base64.b64encode(message).decode()}

    async def ping(self, payload, **_):
        await (await self.socket.ping(payload))
        return {}

    async def close(self, code, reason, **_):
        await self.socket.close(code, reason)
        return close_frame(self.socket)

    async def drop(self, **_):
        if self.socket is not None and self.socket.transport is not None:
            self.socket.transport.abort()
            await self.socket.wait_closed()
        return {}

    async def load(self, file, **_):
        with open(file, encoding="utf-8") as f:
            self.messages = json.load(f)
        return {}

    async def exchange(self, count, **to):
        dialed = await self.dial(**to)
        if dialed.get("agreed") is None:
            return {"failed": f"no compression: {dialed}"}
        some = self.messages[:count]
        try:
            _, wrong = await asyncio.gather(self.send_all(some), self.compare(some))
            if wrong:
                return {"failed": wrong}
            return {"agreed": dialed["agreed"], **await self.close(1000, "")}
        finally:
            await self.drop()

    async def send_all(self, messages):
        for message in messages:
            await self.send(**message)

    async def compare(self, messages):
        for i, message in enumerate(messages):
            echo = await self.receive()
            if "text" in message:
                same = echo.get("text") == message["text"]
            else:
                same = echo.get("binary") == message.get("binary", "")
            if not same:
                return f"message {i} has come back as {str(echo)[:200]}"


async def main():
    client = Client()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        try:
            answer = await getattr(client, command.pop("do"))(**command)
        except Exception as err:
            answer = {"failed": f"{type(err).__name__}: {err}"}
        print(json.dumps(answer), flush=True)


asyncio.run(main())
