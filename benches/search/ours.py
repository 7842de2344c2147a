"""The embedded index, in a process of its own that answers lines."""

import json
import shutil
import subprocess
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy
from clustered import Data


class Engine:
    """Talks to the process."""

    def __init__(self, folder: Path, data: Data, given: Namespace) -> None:
        self.folder, self.data, self.ef = folder / "breakwater", data, None
        shutil.rmtree(self.folder, ignore_errors=True)
        command = [given.ours, self.folder, data.vectors_file, str(given.dimension)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        print(json.dumps(question), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def build(self) -> dict[str, float]:
        """Fills it."""
        return self._ask({"build": True})

    def prepare(self, ef: int) -> None:
        """Opens it with another width."""
        if ef != self.ef:
            self._ask({"open": ef})
            self.ef = ef

    def search(self, queries: numpy.ndarray, every: int, count: int) -> dict[str, Any]:
        """Asks one after the other."""
        file = self.data.queries_file
        if len(queries) != len(self.data.queries):
            file = file.with_suffix(".some")
            queries.tofile(file)
        return self._ask({"search": str(file), "every": every, "count": count})

    def filtered_queries(self, queries: int) -> int:
        """All of them."""
        return queries

    def close(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()
