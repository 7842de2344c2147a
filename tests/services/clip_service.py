"""A CLIP service in another language, for the tests: features of one picture and of many, and health, over HTTP/1.1.

    python3 clip_service.py --port 0 [--api-key KEY] [--dimension 512] [--model NAME] [--values normal|zero|nan]

prints `listening on http://127.0.0.1:PORT` first. It answers as such services with FastAPI do: `POST /extract-features` takes the file `file`
of a form, `POST /extract-features-batch` several files `files`. There is no model in it: the features are drawn from a digest of the
file, so that the same file has the same features everywhere, and two files have nothing in common. misbehaviour.py says how to make it
fail. Needs Python 3.10 or newer and nothing else.
"""

import argparse
import email.parser
import email.policy
import hashlib
import math
import random

import image_service
from image_service import Answer, as_json

SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF")
MODEL = "openai/clip-vit-base-patch32"


class Handler(image_service.Handler):
    """One connection."""

    server_name = "clip-service"
    server: "Service"

    def answer(self, body: bytes) -> Answer:
        segment = self.path.partition("?")[0].rstrip("/").rsplit("/", 1)[-1]
        if segment == "health":
            return as_json(200, {"status": "healthy", "model_loaded": True, "model": self.server.model, "device": "cpu"})
        key = self.server.api_key
        if key and key not in (self.headers.get("x-api-key"), self.headers.get("authorization", "").removeprefix("Bearer ")):
            return refusal(401, "Not authenticated")
        if segment not in ("extract-features", "extract-features-batch"):
            return refusal(404, "Not Found")
        if self.command != "POST":
            return refusal(405, "Method Not Allowed")
        files = self.files(body)
        if segment == "extract-features":
            return self.single([content for name, _, content in files if name == "file"])
        return self.batch([(filename, content) for name, filename, content in files if name == "files"])

    def files(self, body: bytes) -> list[tuple[str, str, bytes]]:
        """Name, file name and content of every file of a form."""
        media_type = self.headers.get("content-type", "")
        if not media_type.startswith("multipart/form-data"):
            return []
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(f"content-type: {media_type}\r\n\r\n".encode() + body)
        parts = ((part, part.get_param("name", header="content-disposition")) for part in message.iter_parts())
        return [(name, part.get_filename(), part.get_payload(decode=True)) for part, name in parts if part.get_filename() is not None]

    def single(self, files: list[bytes]) -> Answer:
        if len(files) != 1:
            return refusal(422, [{"loc": ["body", "file"], "msg": "field required", "type": "value_error.missing"}])
        if not files[0].startswith(SIGNATURES):
            return refusal(400, "Invalid image file")
        features = self.server.features(files[0])
        known = {"dimension": len(features), "model": self.server.model, "processing_time": 0.012}
        return as_json(200, {"success": True, "features": features, **known})

    def batch(self, files: list[tuple[str, bytes]]) -> Answer:
        if not files:
            return refusal(422, [{"loc": ["body", "files"], "msg": "field required", "type": "value_error.missing"}])
        results = []
        for index, (filename, content) in enumerate(files):
            if content.startswith(SIGNATURES):
                results.append({"index": index, "filename": filename, "success": True, "features": self.server.features(content)})
            else:
                results.append({"index": index, "filename": filename, "success": False, "error": "Invalid image file"})
        successful = sum(result["success"] for result in results)
        counts = {"total": len(results), "successful": successful, "failed": len(results) - successful}
        return as_json(200, {"success": True, "results": results, **counts, "model": self.server.model, "processing_time": 0.034})


def refusal(status: int, detail: object) -> Answer:
    """As FastAPI words it."""
    return as_json(status, {"detail": detail})


class Service(image_service.Service):
    """Listens."""

    def __init__(self, options: argparse.Namespace):
        super().__init__(options.port, options.api_key, Handler)
        self.dimension, self.model, self.values = options.dimension, options.model, options.values

    def features(self, content: bytes) -> list[float]:
        """A direction that depends on the file alone, of length one; or what `--values` asks for instead."""
        if self.values != "normal":
            return [0.0 if self.values == "zero" else math.nan] * self.dimension
        drawn = random.Random(hashlib.sha256(content).digest())
        numbers = [drawn.gauss(0, 1) for _ in range(self.dimension)]
        length = math.sqrt(sum(number * number for number in numbers))
        return [round(number / length, 8) for number in numbers]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--port", type=int, default=0, help="0 for a free one")
    arguments.add_argument("--api-key", help="asked for as X-Api-Key or as bearer token; none when absent")
    arguments.add_argument("--dimension", type=int, default=512, help="numbers in the features")
    arguments.add_argument("--model", default=MODEL, help="what it calls its model")
    arguments.add_argument("--values", choices=("normal", "zero", "nan"), default="normal", help="what the features are")
    image_service.run(Service(arguments.parse_args()))


if __name__ == "__main__":
    main()
