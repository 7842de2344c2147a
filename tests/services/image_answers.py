"""What the image service answers: derived from the input alone, so that the same request has the same answer everywhere.

Pictures are not looked at beyond their size; boxes come from a digest of the bytes (or of the path, when only a path is known).
"""

import base64
import binascii
import hashlib
import struct
import zlib

TYPES = ("face", "person", "object")
STRATEGIES = ("attention", "center", "center_faces", "entropy", "portrait", "subjects", "thirds")
OBJECTS = ("dog", "bicycle", "cup", "chair")
SHEET_POINTS = {"portrait": (288, 432), "landscape": (432, 288)}
"""4 by 6 inches."""


class Refused(Exception):
    """A request that this service does not take, with its status and code."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code = status, code


class Picture:
    """A picture of a request."""

    def __init__(self, request: dict):
        path, text, data = request.get("image_path"), request.get("image_base64"), request.get("image")
        if isinstance(text, str):
            try:
                data = base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)
            except binascii.Error as error:
                raise Refused(422, "INVALID_IMAGE", "image_base64 is not base64") from error
        if isinstance(data, bytes):
            self.name = path or "upload"
            self.digest = hashlib.sha256(data).digest()
            self.width, self.height = size_of(data)
        elif isinstance(path, str) and path:
            if "missing" in path:
                raise Refused(404, "IMAGE_NOT_FOUND", f"no image at {path}")
            self.name = path
            self.digest = hashlib.sha256(path.encode()).digest()
            self.width, self.height = 640 + 8 * self.digest[0], 480 + 8 * self.digest[1]
        else:
            raise Refused(422, "INVALID_REQUEST", "image_path, image_base64 or a part called image is needed")

    def size(self) -> dict:
        return {"width": self.width, "height": self.height}


def size_of(data: bytes) -> tuple[int, int]:
    """Columns and rows of a PNG, GIF or JPEG."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        return struct.unpack(">II", data[16:24])
    if data[:4] == b"GIF8" and len(data) >= 10:
        return struct.unpack("<HH", data[6:10])
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 <= len(data):
        marker, length = data[at + 1], struct.unpack(">H", data[at + 2 : at + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + length
    raise Refused(422, "INVALID_IMAGE", "only PNG, GIF and JPEG are read")


def detect(request: dict) -> dict:
    """`{image…, detection_types?, confidence_threshold?}` → `{detections, image, model}`."""
    picture = Picture(request)
    wanted = request.get("detection_types") or ["face", "person"]
    threshold = request.get("confidence_threshold")
    threshold = 0.5 if threshold is None else float(threshold)
    unknown = [kind for kind in wanted if kind not in TYPES]
    if unknown:
        raise Refused(422, "INVALID_REQUEST", f"detection_types are {', '.join(TYPES)}; got {unknown[0]}")
    found = [detection for kind in TYPES if kind in wanted for detection in things(picture, kind)]
    found = [detection for detection in found if detection["confidence"] >= threshold]
    found.sort(key=lambda detection: -detection["confidence"])
    return {"detections": found, "image": picture.size(), "model": "digest-1"}


def things(picture: Picture, kind: str) -> list[dict]:
    """One or two boxes of a kind, inside of the picture."""
    seed = hashlib.sha256(picture.digest + kind.encode()).digest()
    found = []
    for index in range(1 + seed[0] % 2):
        part = seed[1 + 8 * index : 9 + 8 * index]
        width = picture.width * (0.1 + part[0] / 1024)
        height = picture.height * (0.1 + part[1] / 1024)
        x, y = (picture.width - width) * part[2] / 255, (picture.height - height) * part[3] / 255
        box = {"x": round(x, 2), "y": round(y, 2), "width": round(width, 2), "height": round(height, 2)}
        thing = {"kind": kind, "label": kind, "confidence": round(0.55 + part[4] / 600, 4), "box": box, "landmarks": []}
        if kind == "object":
            thing["label"] = OBJECTS[part[5] % len(OBJECTS)]
        if kind == "face":
            spots = ((0.3, 0.35), (0.7, 0.35), (0.5, 0.55), (0.35, 0.75), (0.65, 0.75))
            thing["landmarks"] = [{"x": round(x + width * dx, 2), "y": round(y + height * dy, 2)} for dx, dy in spots]
        found.append(thing)
    return found


def ratio_of(request: dict) -> tuple[int, int]:
    ratio = request.get("target_aspect_ratio")
    if isinstance(ratio, str):
        parts = ratio.split(":")
        ratio = {"width": parts[0], "height": parts[-1]}
    try:
        width, height = int(ratio["width"]), int(ratio["height"])
    except (TypeError, KeyError, ValueError) as error:
        raise Refused(422, "INVALID_REQUEST", "target_aspect_ratio is needed, such as {width: 4, height: 6}") from error
    if not (1 <= width <= 10000 and 1 <= height <= 10000):
        raise Refused(422, "INVALID_REQUEST", "both parts of target_aspect_ratio are 1 to 10000")
    return width, height


def crop(request: dict) -> dict:
    """`{image…, target_aspect_ratio, detection_results?, crop_strategy?}` → where it cuts, and the picture.

    The rectangle has the largest size of the ratio, and its middle is as near as possible to the middle of all boxes."""
    picture = Picture(request)
    across, down = ratio_of(request)
    strategy = request.get("crop_strategy") or "center_faces"
    if strategy not in STRATEGIES:
        raise Refused(422, "UNKNOWN_STRATEGY", f"crop_strategy is one of {', '.join(STRATEGIES)}; got {strategy}")
    width = min(picture.width, picture.height * across // down)
    width, height = max(1, width), max(1, width * down // across)
    given = request.get("detection_results")
    boxes = given.get("detections", []) if isinstance(given, dict) else given
    boxes = [detection["box"] for detection in boxes or []]
    middle = (picture.width / 2, picture.height / 2)
    if boxes:
        middle = tuple(
            sum(box[start] + box[extent] / 2 for box in boxes) / len(boxes) for start, extent in (("x", "width"), ("y", "height"))
        )
    x = min(max(round(middle[0] - width / 2), 0), picture.width - width)
    y = min(max(round(middle[1] - height / 2), 0), picture.height - height)
    out = result_size(request, width, height, across, down)
    file = png(*out, picture.digest[:3])
    return {
        "crop": {"x": x, "y": y, "width": width, "height": height},
        "crop_strategy": strategy,
        "score": round(0.5 + picture.digest[4] / 512, 4),
        "image": picture.size(),
        "output_path": f"/crops/{hashlib.sha256(file + bytes(str((x, y)), 'ascii')).hexdigest()[:24]}.png",
        "output": {"width": out[0], "height": out[1], "format": "png", "media_type": "image/png", "bytes": len(file)},
        "image_base64": base64.b64encode(file).decode(),
    }


def result_size(request: dict, width: int, height: int, across: int, down: int) -> tuple[int, int]:
    """What the request says, one edge giving the other; else the size of the cut."""
    wide, high = request.get("width"), request.get("height")
    if wide is None and high is None:
        return width, height
    return int(wide or max(1, round(high * across / down))), int(high or max(1, round(wide * down / across)))


def batch(request: dict) -> dict:
    """`{images: [path or bytes], processing_options?}` → one result or error for each, in order. Cuts when it is given a ratio."""
    images, options = request.get("images"), request.get("processing_options") or {}
    if not isinstance(images, list) or not images:
        raise Refused(422, "INVALID_REQUEST", "images is a list of at least one path, or parts called so")
    results = []
    for index, image in enumerate(images):
        source = {"image": image} if isinstance(image, bytes) else {"image_path": image}
        result: dict = {"image_path": f"upload {index + 1}" if isinstance(image, bytes) else image}
        try:
            found = detect({**options, **source})
            result |= {"success": True, "detections": found["detections"]}
            if "target_aspect_ratio" in options:
                cut = crop({**options, **source, "detection_results": found})
                del cut["image_base64"]
                result["result"] = cut
        except Refused as error:
            result |= {"success": False, "error": {"error_code": error.code, "message": str(error)}}
        results.append(result)
    good = sum(result["success"] for result in results)
    return {"results": results, "total": len(results), "succeeded": good, "failed": len(results) - good}


def compose(request: dict) -> dict:
    """`{processed_images, grid_layout, sheet_orientation, output_format}` → a sheet with a coloured cell for each picture."""
    images, grid = request.get("processed_images"), request.get("grid_layout") or {}
    rows, columns = int(grid.get("rows", 0)), int(grid.get("columns", 0))
    if not isinstance(images, list) or not images or rows < 1 or columns < 1:
        raise Refused(422, "INVALID_REQUEST", "processed_images and grid_layout with rows and columns are needed")
    size = SHEET_POINTS.get(request.get("sheet_orientation") or "portrait")
    kind = request.get("output_format") or "pdf"
    if size is None or kind not in ("pdf", "png"):
        raise Refused(422, "INVALID_REQUEST", "sheet_orientation is portrait or landscape, output_format is pdf or png")
    pages = -(-len(images) // (rows * columns))
    colours = [hashlib.sha256(image if isinstance(image, bytes) else str(image).encode()).digest()[:3] for image in images]
    file = pdf(size, rows, columns, colours) if kind == "pdf" else png(*size, colours[0])
    return {
        "output_path": f"/sheets/{hashlib.sha256(file).hexdigest()[:24]}.{kind}",
        "pages": pages,
        "placed": len(images),
        "grid_layout": {"rows": rows, "columns": columns},
        "sheet_orientation": request.get("sheet_orientation") or "portrait",
        "output": {"format": kind, "media_type": "application/pdf" if kind == "pdf" else "image/png", "bytes": len(file)},
        "file_base64": base64.b64encode(file).decode(),
    }


def png(width: int, height: int, colour: bytes) -> bytes:
    """A picture of one colour."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    # One bit a pixel and a palette of one colour, so that large pictures cost little.
    rows = bytes(1 + -(-width // 8)) * height
    header = struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"PLTE", colour) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def pdf(size: tuple[int, int], rows: int, columns: int, colours: list[bytes]) -> bytes:
    """Pages with a grid of coloured cells."""
    pages = [colours[start : start + rows * columns] for start in range(0, len(colours), rows * columns)]
    wide, high = size[0] / columns, size[1] / rows
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(b"%d 0 R" % (3 + 2 * page) for page in range(len(pages))), len(pages)),
    ]
    for page, cells in enumerate(pages):
        lines = []
        for index, colour in enumerate(cells):
            x, y = index % columns * wide, size[1] - (index // columns + 1) * high
            red, green, blue = (part / 255 for part in colour)
            lines.append(f"{red:.3f} {green:.3f} {blue:.3f} rg {x:.2f} {y:.2f} {wide:.2f} {high:.2f} re f")
        content = "\n".join(lines).encode()
        objects.append(b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents %d 0 R >>" % (*size, 4 + 2 * page))
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    file, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(objects) + 1
    return file + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, table, count, len(file))
