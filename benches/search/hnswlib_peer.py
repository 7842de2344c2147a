"""hnswlib with the same graph, in this process, without other threads while it searches."""

import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import hnswlib
import numpy
from clustered import Data


class Engine:
    """One index."""

    def __init__(self, _folder: Path, data: Data, given: Namespace) -> None:
        self.data = data
        self.index = hnswlib.Index(space="ip", dim=given.dimension)
        self.index.init_index(max_elements=len(data.vectors), M=16, ef_construction=128)

    def build(self) -> dict[str, float]:
        """Fills it, with all threads."""
        wall, cpu = time.perf_counter(), time.process_time()
        self.index.add_items(self.data.vectors)
        return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "bytes": self.index.index_file_size()}

    def prepare(self, ef: int) -> None:
        """Sets the width."""
        self.index.set_ef(ef)

    def search(self, queries: numpy.ndarray, every: int, count: int) -> dict[str, Any]:
        """Asks one after the other. Its filter is a Python function, which is what a user of this package has."""
        cpu = time.process_time()
        if every == 1:
            labels, _ = self.index.knn_query(queries, k=count, num_threads=1)
            keys = labels.tolist()
        else:
            keys = [self._filtered(query, every, count) for query in queries]
        return {"cpu": time.process_time() - cpu, "keys": keys}

    def _filtered(self, query: numpy.ndarray, every: int, count: int) -> list[int]:
        try:
            labels, _ = self.index.knn_query(query, k=count, num_threads=1, filter=lambda label: label % every == 0)
        except RuntimeError:  # It found fewer than it was asked for, and says no more.
            return []
        return labels[0].tolist()

    def filtered_queries(self, queries: int) -> int:
        """Few: a Python function is slow."""
        return min(queries, 200)

    def close(self) -> None:
        """Nothing to end."""
