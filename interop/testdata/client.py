"""A client made with websockets, led by lines of JSON (scripts_test.go)."""

import asyncio
import base64
import json
import ssl
import sys

import websockets

any_certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
any_certificate.check_hostname = False
any_certificate.verify_mode = ssl.CERT_NONE


def close_frame(socket):
    return {"closed": {"code": socket.close_code, "reason": socket.close_reason}}


class Client:
    socket = None

    async def dial(self, url, origin=None, subprotocols=None, **_):
        try:
            self.socket = await websockets.connect(
                url,
                origin=origin,
                subprotocols=subprotocols,
                ssl=any_certificate if url.startswith("wss:") else None,
            )
        except websockets.InvalidStatusCode as err:
            return {"refused": err.status_code}
        return {"subprotocol": self.socket.subprotocol or ""}

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
