"""A service of texts in another language, for the tests: it extracts, analyses and summarises, over HTTP/1.1.

    python3 text_service.py --port 0 [--api-key KEY]

prints `listening on http://127.0.0.1:PORT` first. `POST …/extract`, `…/analyze` and `…/summarize` take and give JSON objects, below any prefix;
there is no route for health. What it answers depends on the request alone. `GET /_effects` tells what was done: the calls of each action in
their order with the headers that say whose they are, and how often each idempotency key came; a key that came before is answered as it was
then, and does nothing. misbehaviour.py says how to make it fail. Needs Python 3.10 or newer and nothing else.
"""

import argparse
import json
import re
import threading

import image_service
from image_service import Answer, as_json, problem

GOOD = {"excellent", "good", "great", "happy", "love", "wonderful"}
BAD = {"awful", "bad", "hate", "poor", "sad", "terrible"}
TOLD = ("idempotency-key", "x-project-id", "x-request-id", "x-correlation-id", "content-type")
"""Headers that are remembered of each call."""


class Refused(Exception):
    """What was wrong with a request."""


def text_of(request: dict, name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str) or not value:
        raise Refused(f"{name} is a text")
    return value


def extract(request: dict) -> dict:
    """The text of a document, made of its name: `…/great-news.pdf` says that they are great news."""
    url = text_of(request, "document_url")
    words = re.sub(r"[^a-z]+", " ", url.rsplit("/", 1)[-1].rsplit(".", 1)[0].lower()).split()
    return {"text": f"This document is about {' '.join(words) or 'nothing'}.", "metadata": {"url": url, "language": request.get("language", "en")}}


def analyze(request: dict) -> dict:
    """How a text sounds: the share of good words less that of bad ones."""
    words = re.findall(r"[a-z]+", text_of(request, "text").lower())
    good, bad = (sum(word in known for word in words) for known in (GOOD, BAD))
    score = round((good - bad) / max(good + bad, 1), 3)
    return {"sentiment": "positive" if score > 0 else "negative" if score < 0 else "neutral", "score": score}


def summarize(request: dict) -> dict:
    """The first words of a text, or what is known of it."""
    if "text" in request:
        return {"summary": " ".join(text_of(request, "text").split()[:5])}
    return {"summary": f"The text sounds {text_of(request, 'sentiment')}."}


ACTIONS = {"extract": extract, "analyze": analyze, "summarize": summarize}


class Handler(image_service.Handler):
    """One connection."""

    server_name = "text-service"
    server: "Service"

    def answer(self, body: bytes) -> Answer:
        path = self.path.partition("?")[0].rstrip("/")
        if path == "/_effects":
            return as_json(200, self.server.report())
        segment = path.rsplit("/", 1)[-1]
        key = self.server.api_key
        if key and key not in (self.headers.get("x-api-key"), self.headers.get("authorization", "").removeprefix("Bearer ")):
            return problem(401, "UNAUTHORIZED", "a key is needed")
        action = ACTIONS.get(segment)
        if action is None:
            return problem(404, "NOT_FOUND", f"no such path: {self.path}")
        if self.command != "POST":
            return problem(405, "METHOD_NOT_ALLOWED", "POST is needed")
        try:
            request = json.loads(body)
        except ValueError:
            return problem(400, "INVALID_JSON", "the body is not JSON")
        if not isinstance(request, dict):
            return problem(400, "INVALID_JSON", "the body is not a JSON object")
        told = {name: value for name in TOLD if (value := self.headers.get(name)) is not None}
        try:
            return as_json(200, self.server.once(segment, told, lambda: action(request)))
        except Refused as error:
            return problem(422, "INVALID_REQUEST", str(error))


class Service(image_service.Service):
    """Listens, and remembers what it did."""

    def __init__(self, options: argparse.Namespace):
        super().__init__(options.port, options.api_key, Handler)
        self.lock = threading.Lock()
        self.calls: list[dict] = []
        self.keys: dict[str, int] = {}
        self.answers: dict[str, dict] = {}

    def once(self, action: str, told: dict[str, str], work) -> dict:
        """Does what is asked, unless it was done under the same key."""
        key = told.get("idempotency-key")
        with self.lock:
            if key is not None:
                self.keys[key] = self.keys.get(key, 0) + 1
                if key in self.answers:
                    return self.answers[key]
            answer = work()
            self.calls.append({"action": action, **told})
            if key is not None:
                self.answers[key] = answer
            return answer

    def report(self) -> dict:
        with self.lock:
            return {"calls": list(self.calls), "keys": dict(self.keys)}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--port", type=int, default=0, help="0 for a free one")
    arguments.add_argument("--api-key", help="asked for as X-Api-Key or as bearer token; none when absent")
    image_service.run(Service(arguments.parse_args()))


if __name__ == "__main__":
    main()
