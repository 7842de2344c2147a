"""How a service misbehaves, switched over HTTP while it runs.

`POST /_control` takes a JSON object and replaces the behaviour; `GET /_control` tells it and what was asked so far; `DELETE /_control`
makes the service behave and forgets. Neither is affected by the behaviour. The keys, each with what it does when absent:

| key            | meaning                                                                                              |
|----------------|------------------------------------------------------------------------------------------------------|
| `mode`         | one of MODES; `ok`                                                                                   |
| `latency_ms`   | waits before it answers; 0                                                                           |
| `status`       | answers this status instead of the real answer; none                                                 |
| `headers`      | more headers of every answer, such as `{"retry-after": "2"}`; none                                   |
| `next`         | how many requests are treated so; all                                                                |
| `share`        | which share of the requests is treated so, 0 to 1, spread evenly; 1                                  |
| `only`         | last segment of the paths that are treated so; all                                                   |
| `piece_bytes`  | of `slow-body`: bytes a piece; 16                                                                    |
| `pause_ms`     | of `slow-body`: pause between pieces; 100                                                            |
"""

import json
import socket
import struct
import threading
import time

MODES = {
    "ok": "answers as it should",
    "reset": "resets the connection instead of answering",
    "close": "closes the connection instead of answering",
    "half-close": "sends the head and half of the body, then ends its side",
    "hang": "reads the request and never answers",
    "slow-body": "sends the body in small pieces with pauses",
    "long-length": "announces 100 bytes more than it sends, then ends its side",
    "short-length": "announces half of what it sends",
    "html": "answers 200 with a page",
    "invalid-utf8": "answers 200 with bytes that are no text, as application/json",
    "invalid-json": "answers 200 with half a JSON document",
    "huge": "announces 10 GB and sends until the other side hangs up",
    "endless": "sends a chunked body that never ends",
    "endless-head": "sends headers without end",
    "garbage": "answers with something that is no HTTP",
}

DEFAULTS = {
    "mode": "ok",
    "latency_ms": 0,
    "status": None,
    "headers": {},
    "next": None,
    "share": 1.0,
    "only": None,
    "piece_bytes": 16,
    "pause_ms": 100,
}

REMEMBERED = 200
"""Requests whose head is kept for `GET /_control`."""


class Refused(Exception):
    """What was wrong with a behaviour."""


class Behaviour:
    """The behaviour in force and a record of what was asked. Safe to use from many threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        with self.lock:
            self.settings = dict(DEFAULTS)
            self.credit = 0.0
            self.counts: dict[str, int] = {}
            self.connections = 0
            self.in_flight = 0
            self.most_in_flight = 0
            self.requests: list[dict] = []

    def set(self, wanted: dict) -> None:
        unknown = sorted(set(wanted) - set(DEFAULTS))
        if unknown:
            raise Refused(f"unknown keys: {', '.join(unknown)}")
        if wanted.get("mode", "ok") not in MODES:
            raise Refused(f"mode is one of {', '.join(MODES)}")
        with self.lock:
            self.settings = DEFAULTS | wanted
            self.credit = 0.0

    def report(self) -> dict:
        with self.lock:
            return {
                "behaviour": self.settings,
                "counts": self.counts,
                "total": sum(self.counts.values()),
                "connections": self.connections,
                "in_flight": self.in_flight,
                "most_in_flight": self.most_in_flight,
                "requests": self.requests,
            }

    def connected(self) -> None:
        with self.lock:
            self.connections += 1

    def begin(self, method: str, path: str, headers: dict[str, str]) -> dict:
        """Records a request and says how to treat it."""
        with self.lock:
            self.counts[path] = self.counts.get(path, 0) + 1
            self.requests = [*self.requests[1 - REMEMBERED :], {"method": method, "path": path, "headers": headers}]
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            settings = self.settings
            if settings["only"] is not None and path.rstrip("/").rsplit("/", 1)[-1] != settings["only"]:
                return DEFAULTS
            if settings["next"] is not None:
                if settings["next"] <= 0:
                    return DEFAULTS
                self.settings = settings | {"next": settings["next"] - 1}
            # An accumulator instead of chance: 0.2 is exactly every fifth request.
            self.credit += settings["share"]
            if self.credit < 1.0 - 1e-9:
                return DEFAULTS
            self.credit -= 1.0
            return settings

    def end(self) -> None:
        with self.lock:
            self.in_flight -= 1


def head(status: int, headers: dict[str, str]) -> bytes:
    """The head of an HTTP/1.1 answer."""
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def send(connection: socket.socket, settings: dict, status: int, media_type: str, body: bytes, extra: dict[str, str]) -> bool:
    """Sends an answer as the behaviour wants it. Says whether the connection may be used again."""
    mode = settings["mode"]
    if settings["latency_ms"]:
        time.sleep(settings["latency_ms"] / 1000)
    if settings["status"] is not None:
        status, media_type = settings["status"], "application/json"
        body = json.dumps({"error": "as told", "status": status}).encode()
    replaced = {
        "html": ("text/html; charset=utf-8", b"<!doctype html><title>Welcome</title><h1>It works</h1>"),
        "invalid-utf8": ("application/json", b'{"detections": "\xff\xfe\xc3"}'),
        "invalid-json": ("application/json", body[: len(body) // 2]),
    }
    media_type, body = replaced.get(mode, (media_type, body))
    headers = {"content-type": media_type, "content-length": str(len(body)), **extra, **settings["headers"]}
    if mode == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False
    if mode == "close":
        return False
    if mode == "hang":
        connection.recv(1)
        return False
    if mode == "half-close":
        connection.sendall(head(status, headers) + body[: len(body) // 2])
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
        return False
    if mode == "long-length":
        connection.sendall(head(status, headers | {"content-length": str(len(body) + 100)}) + body)
        return False
    if mode == "short-length":
        connection.sendall(head(status, headers | {"content-length": str(len(body) // 2)}) + body)
        return False
    if mode == "slow-body":
        connection.sendall(head(status, headers))
        size = settings["piece_bytes"]
        for start in range(0, len(body), size):
            time.sleep(settings["pause_ms"] / 1000)
            connection.sendall(body[start : start + size])
        return True
    if mode == "huge":
        connection.sendall(head(status, headers | {"content-length": str(10 * 10**9)}) + b'{"filler": "')
        send_forever(connection, b"a" * 65536)
    if mode == "endless":
        chunked = {name: value for name, value in headers.items() if name != "content-length"} | {"transfer-encoding": "chunked"}
        connection.sendall(head(status, chunked))
        send_forever(connection, b"4000\r\n" + b" " * 0x4000 + b"\r\n")
    if mode == "endless-head":
        connection.sendall(b"HTTP/1.1 200 Status\r\n")
        send_forever(connection, b"x-filler: " + b"a" * 1024 + b"\r\n")
    if mode == "garbage":
        connection.sendall(b"\x16\x03\x01 this is no HTTP\n\n")
        return False
    connection.sendall(head(status, headers) + body)
    return True


def send_forever(connection: socket.socket, piece: bytes) -> None:
    """Ends with the error of a connection that the other side closed."""
    while True:
        connection.sendall(piece)
