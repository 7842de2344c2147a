"""Indexes photographs, searches with changed copies of them, prints recall@1 per change."""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps

ROOT = Path(__file__).resolve().parent.parent.parent
PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
BOUNDARY = "breakwater-retrieval"


def middle(share: float) -> Callable[[Image.Image], Image.Image]:
    """Cuts the middle of both sides."""

    def cut(image: Image.Image) -> Image.Image:
        width, height = round(image.width * share), round(image.height * share)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        return image.crop((left, top, left + width, top + height))

    return cut


def turned(image: Image.Image) -> Image.Image:
    """15 degrees, the corners filled with the mean colour."""
    mean = image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    return image.rotate(15, Image.Resampling.BICUBIC, fillcolor=mean)


# What is done to a photograph, the JPEG quality it is sent with, and the share that a reference with the same weights found, where it is known.
CHANGES: dict[str, tuple[Callable[[Image.Image], Image.Image], int, float | None]] = {
    "mirrored": (ImageOps.mirror, 92, 1.0),
    "dark": (lambda image: ImageEnhance.Brightness(image).enhance(0.5), 92, 1.0),
    "grey": (lambda image: ImageOps.grayscale(image).convert("RGB"), 92, 1.0),
    "JPEG 20": (lambda image: image, 20, 1.0),
    "crop 70 % of the area": (middle(0.7**0.5), 92, 1.0),
    "crop 50 % of the area": (middle(0.5**0.5), 92, 0.89),
    "crop 70 % of each edge": (middle(0.7), 92, None),
    "crop 50 % of each edge": (middle(0.5), 92, None),
    "turned 15°": (turned, 92, 0.93),
}


def form(jpeg: bytes, fields: dict[str, str]) -> bytes:
    parts = [f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]
    head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="image"; filename="query.jpg"\r\ncontent-type: image/jpeg\r\n\r\n'.encode()
    return b"".join(parts) + head + jpeg + f"\r\n--{BOUNDARY}--\r\n".encode()


def first(address: str, jpeg: bytes) -> tuple[str, float]:
    """The id and similarity of the best answer."""
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}", "accept": "application/json"}
    # Copies of one photograph in the folder may be folded into one answer; here every file counts.
    body = form(jpeg, {"limit": "1", "fold_duplicates": "false"})
    with urllib.request.urlopen(urllib.request.Request(f"{address}/v1/search", body, headers), timeout=60) as answer:
        items = json.load(answer)["items"]
    return (items[0]["product"]["id"], items[0]["similarity"]) if items else ("nothing", 0.0)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--binary", required=True)
    arguments.add_argument("--plugins", required=True)
    arguments.add_argument("--photographs", type=Path, default=ROOT / "tests/images")
    given = arguments.parse_args()
    photographs = sorted(path for path in given.photographs.iterdir() if path.suffix.lower() in PICTURES)
    with tempfile.TemporaryDirectory() as data:
        places = ["--data-dir", data, "--plugins", given.plugins]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BREAKWATER")}
        subprocess.run([given.binary, "index", str(given.photographs), *places], check=True, env=environment)
        serve = [given.binary, "serve", "--listen", "127.0.0.1:0", *places]
        service = subprocess.Popen(serve, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            line = service.stdout.readline()
            address = re.search(r"http://\S+", line)
            if address is None:
                sys.exit(f"the service did not say where it listens: {line!r}")
            short = evaluate(address.group(0).rstrip("/"), photographs)
        finally:
            service.terminate()
            service.wait(30)
    if short:
        sys.exit(f"less than a reference with the same weights reached: {', '.join(short)}")


def evaluate(address: str, photographs: list[Path]) -> list[str]:
    short = []
    print(f"{len(photographs)} photographs")
    for name, (change, quality, least) in CHANGES.items():
        found = 0
        for path in photographs:
            with Image.open(path) as image:
                changed = change(ImageOps.exif_transpose(image).convert("RGB"))
            jpeg = io.BytesIO()
            changed.save(jpeg, "JPEG", quality=quality)
            best, similarity = first(address, jpeg.getvalue())
            if Path(best).name == path.name:
                found += 1
            else:
                print(f"  {name}: {path.name} found {best} ({similarity:.3f})")
        share = found / len(photographs)
        print(f"{name:24} recall@1 {share:.3f}" + ("" if least is None else f"  (reference {least:.2f})"))
        # One of a small folder weighs more than the reference's one of many.
        if least is not None and share < least and round(least * len(photographs)) > found:
            short.append(name)
    return short


main()
