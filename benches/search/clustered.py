"""Unit vectors that lie in clusters, as those of pictures do: each is one of 1000 centres, moved within a space of 64 directions of falling
weight that all clusters share."""

from dataclasses import dataclass
from pathlib import Path

import numpy

CENTRES, DIRECTIONS, SPREAD = 1000, 64, 0.45
PIECE = 50_000


@dataclass
class Data:
    """Vectors, queries, and where they are stored as single precision numbers."""

    vectors: numpy.ndarray
    queries: numpy.ndarray
    vectors_file: Path
    queries_file: Path


def make(folder: Path, vectors: int, queries: int, dimension: int) -> Data:
    """The same for the same numbers, on every machine."""
    folder.mkdir(parents=True, exist_ok=True)
    random = numpy.random.default_rng(7)
    centres = random.standard_normal((CENTRES, dimension), dtype=numpy.float32)
    centres /= numpy.linalg.norm(centres, axis=1, keepdims=True)
    weights = 1 / numpy.sqrt(numpy.arange(1, DIRECTIONS + 1, dtype=numpy.float32))
    basis = random.standard_normal((DIRECTIONS, dimension), dtype=numpy.float32) / numpy.sqrt(dimension) * weights[:, None]

    def draw(count: int) -> numpy.ndarray:
        drawn = numpy.empty((count, dimension), numpy.float32)
        for start in range(0, count, PIECE):
            size = min(PIECE, count - start)
            moved = random.standard_normal((size, DIRECTIONS), dtype=numpy.float32) @ basis
            piece = centres[random.integers(0, CENTRES, size)] + SPREAD * moved
            drawn[start : start + size] = piece / numpy.linalg.norm(piece, axis=1, keepdims=True)
        return drawn

    data = Data(draw(vectors), draw(queries), folder / "vectors.f32", folder / "queries.f32")
    data.vectors.tofile(data.vectors_file)
    data.queries.tofile(data.queries_file)
    return data


def truth(data: Data, every: int, count: int) -> numpy.ndarray:
    """The true neighbours of each query among every so many vectors, in single precision."""
    among = data.vectors[::every]
    nearest = []
    for start in range(0, len(data.queries), 100):
        similarity = data.queries[start : start + 100] @ among.T
        nearest.append(numpy.argpartition(-similarity, count - 1, axis=1)[:, :count] * every)
    return numpy.concatenate(nearest)
