"""An image-processing service in another language, for the tests: detect, crop, batch, sheet and health, over HTTP/1.1.

    python3 image_service.py --port 0 [--api-key KEY]

prints `listening on http://127.0.0.1:PORT` first. README.md says which paths there are; misbehaviour.py says how to make it fail.
Needs Python 3.10 or newer and nothing else.
"""

import argparse
import base64
import email.parser
import email.policy
import json
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import image_answers
import misbehaviour

LONGEST_BODY = 64 * 2**20

OPERATIONS = {
    "detect": image_answers.detect,
    "detect-objects": image_answers.detect,
    "crop": image_answers.crop,
    "crop-image": image_answers.crop,
    "batch": image_answers.batch,
    "process-batch": image_answers.batch,
    "sheet": image_answers.compose,
    "compose": image_answers.compose,
    "compose-sheet": image_answers.compose,
}
"""By the last segment of the path, so that any prefix will do."""

FILES = {"crop": "image_base64", "crop-image": "image_base64", "sheet": "file_base64", "compose": "file_base64", "compose-sheet": "file_base64"}
"""Which part of an answer is a file: sent as the body to those who do not accept JSON."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_name = "image-service"
    server: "Service"

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.behaviour.connected()

    def log_message(self, *_: object) -> None:
        """Silent: what was asked is in `GET /_control`."""

    def do_any(self) -> None:
        try:
            body = self.read_body()
            if self.path == "/_control":
                self.control(body)
                return
            treat = self.server.behaviour.begin(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
            try:
                status, media_type, answer, told = self.answer(body)
                if self.command == "HEAD":
                    answer = b""
                extra = {"x-served-by": self.server_name, "server": self.server_name, **told}
                if correlation := self.headers.get("x-correlation-id"):
                    extra["x-correlation-id"] = correlation
                if not misbehaviour.send(self.connection, treat, status, media_type, answer, extra):
                    self.close_connection = True
            finally:
                self.server.behaviour.end()
        except OSError:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_any

    def read_body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(min(int(self.headers.get("content-length") or 0), LONGEST_BODY))

    def answer(self, body: bytes) -> "Answer":
        segment = self.path.partition("?")[0].rstrip("/").rsplit("/", 1)[-1]
        key = self.server.api_key
        if segment == "health":
            return as_json(200, {"status": "healthy", "service": "image-service", "version": "1.0.0", "uptime_ms": self.server.uptime_ms()})
        if key and key not in (self.headers.get("x-api-key"), self.headers.get("authorization", "").removeprefix("Bearer ")):
            return problem(401, "UNAUTHORIZED", "a key is needed")
        operation = OPERATIONS.get(segment)
        if operation is None:
            return problem(404, "NOT_FOUND", f"no such path: {self.path}")
        if self.command != "POST":
            return problem(405, "METHOD_NOT_ALLOWED", "POST is needed")
        try:
            result = operation(self.request_of(body))
        except image_answers.Refused as error:
            return problem(error.status, error.code, str(error))
        except (KeyError, TypeError, ValueError) as error:
            return problem(422, "INVALID_REQUEST", f"a field is missing or of the wrong type: {error}")
        file = FILES.get(segment)
        if file and prefers(self.headers.get("accept", "*/*"), result["output"]["media_type"]):
            return 200, result["output"]["media_type"], base64.b64decode(result[file]), told_in_headers(result)
        return as_json(200, result)

    def request_of(self, body: bytes) -> dict:
        """The request, as JSON or as a form whose text fields may be JSON."""
        media_type = self.headers.get("content-type", "application/json")
        if media_type.startswith("multipart/form-data"):
            message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(f"content-type: {media_type}\r\n\r\n".encode() + body)
            fields: dict = {}
            for part in message.iter_parts():
                name = part.get_param("name", header="content-disposition")
                content = part.get_payload(decode=True)
                if part.get_filename() is None:
                    fields[name] = parsed(content.decode())
                elif name == "image":
                    fields[name] = content
                else:
                    fields.setdefault(name, []).append(content)
            return fields
        try:
            request = json.loads(body)
        except ValueError as error:
            raise image_answers.Refused(400, "INVALID_JSON", "the body is not JSON") from error
        if not isinstance(request, dict):
            raise image_answers.Refused(400, "INVALID_JSON", "the body is not a JSON object")
        return request

    def control(self, body: bytes) -> None:
        status, behaviour = 200, self.server.behaviour
        try:
            if self.command == "POST":
                behaviour.set(json.loads(body))
            elif self.command == "DELETE":
                behaviour.reset()
            answer = behaviour.report()
        except (ValueError, misbehaviour.Refused) as error:
            status, answer = 400, {"error": str(error)}
        misbehaviour.send(self.connection, misbehaviour.DEFAULTS, *as_json(status, answer))


def parsed(text: str) -> object:
    """A text field: JSON where it is an object, a list or a number."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def prefers(accept: str, media_type: str) -> bool:
    """Whether a client would rather have the file than JSON."""

    def quality(wanted: str) -> float:
        best = 0.0
        for item in accept.split(","):
            pattern, *parameters = (part.strip() for part in item.split(";"))
            if pattern in ("*/*", wanted, wanted.partition("/")[0] + "/*"):
                best = max(best, *(float(parameter[2:]) for parameter in parameters if parameter.startswith("q=")), 0.0 if parameters else 1.0)
        return best

    return quality(media_type) > quality("application/json")


def told_in_headers(result: dict) -> dict[str, str]:
    """What comes with a picture."""
    if "crop" not in result:
        return {}
    crop, image = result["crop"], result["image"]
    place = ",".join(str(crop[name]) for name in ("x", "y", "width", "height"))
    return {"x-crop": place, "x-image-size": f"{image['width']}x{image['height']}", "x-crop-score": str(result["score"])}


Answer = tuple[int, str, bytes, dict[str, str]]
"""Status, media type, body, more headers."""


def as_json(status: int, value: object) -> Answer:
    return status, "application/json", json.dumps(value).encode(), {}


def problem(status: int, code: str, message: str) -> Answer:
    return as_json(status, {"error": message, "error_code": code, "status_code": status})


class Service(ThreadingHTTPServer):
    """Listens."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int, api_key: str | None, handler: type[Handler] = Handler):
        super().__init__(("127.0.0.1", port), handler)
        self.behaviour = misbehaviour.Behaviour()
        self.api_key = api_key
        self.started = time.monotonic()

    def uptime_ms(self) -> int:
        return int((time.monotonic() - self.started) * 1000)

    def shutdown_request(self, request: socket.socket) -> None:
        """Without the FIN that would come before a reset."""
        if request.fileno() >= 0 and request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER):
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, *_: object) -> None:
        """A connection that breaks is nothing to talk about here."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(*_)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--port", type=int, default=0, help="0 for a free one")
    arguments.add_argument("--api-key", help="asked for as X-Api-Key or as bearer token; none when absent")
    options = arguments.parse_args()
    run(Service(options.port, options.api_key))


def run(service: Service) -> None:
    """Says where it listens, and serves until it is told to end."""
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=service.shutdown).start())
    print(f"listening on http://127.0.0.1:{service.server_address[1]}", flush=True)
    service.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
