"""An endpoint without an engine: reads a request, waits, answers 0000. `python -m bench.stub PORT LATENCY_S`."""

import asyncio
import json
import sys

DATA = {
    "birthday": "19900201",
    "cardNum": "C10563465",
    "sex": "女",
    "validDate": "20150116-20250115",
    "address": "山东",
}
BODY = json.dumps(
    {"code": "0000", "msg": "调用成功", "charge": 1, "data": DATA, "request_id": "TID" + "0" * 32}
).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, latency_s: float) -> None:
    """Answer every request of one connection."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await reader.readexactly(int(line.partition(b":")[2]))
        await asyncio.sleep(latency_s)
        writer.write(ANSWER)


async def main(port: int, latency_s: float) -> None:
    """Serve until killed."""

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer, latency_s)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
