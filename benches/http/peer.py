"""The peer: what a team writes with FastAPI, onnxruntime and OpenCV for the same job, with the settings that cost it the least."""

import os
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from fastapi import FastAPI, File, Form, HTTPException, UploadFile
from fastapi.responses import Response

from onnx_models.yunet import NETWORK, STRIDES

LONGEST, THRESHOLD, OVERLAP, QUALITY = 640, 0.8, 0.45, 85

options = onnxruntime.SessionOptions()
# One thread a request: more threads answer sooner and cost more processor time in total.
options.intra_op_num_threads = 1
cv2.setNumThreads(1)
session = onnxruntime.InferenceSession(NETWORK.build(Path(os.environ["MODELS"])), options, providers=["CPUExecutionProvider"])
outputs = [output.name for output in session.get_outputs()]
app = FastAPI()


def faces(picture: np.ndarray) -> np.ndarray:
    """Boxes (x, y, width, height) in pixels of the picture."""
    height, width = picture.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture
    padded = cv2.copyMakeBorder(small, 0, -small.shape[0] % 32, 0, -small.shape[1] % 32, cv2.BORDER_CONSTANT)
    tensor = padded.astype(np.float32).transpose(2, 0, 1)[None]
    found = dict(zip(outputs, session.run(outputs, {"image": tensor})))
    boxes, scores = [], []
    for stride in STRIDES:
        score = np.sqrt(found[f"cls_{stride}"][0, 0] * found[f"obj_{stride}"][0, 0])
        rows, columns = np.where(score >= THRESHOLD)
        x, y, w, h = found[f"bbox_{stride}"][0][:, rows, columns]
        w, h = np.exp(w) * stride, np.exp(h) * stride
        boxes.append(np.stack([(columns + x) * stride - w / 2, (rows + y) * stride - h / 2, w, h], 1))
        scores.append(score[rows, columns])
    boxes, scores = np.concatenate(boxes) / scale, np.concatenate(scores)
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), THRESHOLD, OVERLAP)
    return boxes[np.array(kept, int).reshape(-1)]


def window(width: int, height: int, ratio: float, found: np.ndarray) -> tuple[int, int, int, int]:
    """The largest window of the ratio, its middle as near to that of the faces as the picture allows."""
    w, h = (round(height * ratio), height) if width > height * ratio else (width, round(width / ratio))
    middle_x, middle_y = width / 2, height / 2
    if len(found):
        middle_x = (found[:, 0].min() + (found[:, 0] + found[:, 2]).max()) / 2
        middle_y = (found[:, 1].min() + (found[:, 1] + found[:, 3]).max()) / 2
    x = int(min(max(middle_x - w / 2, 0), width - w))
    y = int(min(max(middle_y - h / 2, 0), height - h))
    return x, y, w, h


@app.get("/healthz")
def healthz():
    return {"status": "ok"}


@app.post("/v1/crop")
def crop(image: UploadFile = File(), target_aspect_ratio: str = Form()):
    picture = cv2.imdecode(np.frombuffer(image.file.read(), np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise HTTPException(400, "not a picture")
    wide, tall = (int(edge) for edge in target_aspect_ratio.split(":"))
    found = faces(picture)
    x, y, w, h = window(picture.shape[1], picture.shape[0], wide / tall, found)
    _, encoded = cv2.imencode(".jpg", picture[y : y + h, x : x + w], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return Response(encoded.tobytes(), media_type="image/jpeg", headers={"x-faces": str(len(found))})
