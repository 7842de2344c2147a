"""Builds the same index with each engine, asks each the same, and prints recall@10 and searches per second of processor time."""

import argparse
import importlib
import tempfile
from pathlib import Path

import clustered
import numpy

COUNT = 10
EVERY = (1, 2, 20, 200)
ENGINES = {"breakwater": "ours", "hnswlib": "hnswlib_peer", "pgvector": "pgvector_peer"}


def recall(found: list[list[int]], truth: numpy.ndarray) -> float:
    """The share of the true neighbours that were found."""
    return float(numpy.mean([len(set(keys) & set(true)) / len(true) for keys, true in zip(found, truth.tolist(), strict=True)]))


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", type=Path, required=True)
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--ef", nargs="+", type=int, default=[64, 96, 144, 192, 256])
    parser.add_argument("--filter-ef", type=int, default=144)
    parser.add_argument("--rounds", type=int, default=3, help="the least processor time of so many rounds counts")
    parser.add_argument("--keep", type=Path, help="a folder for vectors and indices, used again when it has them")
    given = parser.parse_args()

    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        data = clustered.make(folder, given.vectors, given.queries, given.dimension)
        truth = {every: clustered.truth(data, every, COUNT) for every in EVERY}
        engines = {name: importlib.import_module(ENGINES[name]).Engine(folder, data, given) for name in given.engines}
        print(f"{given.vectors} vectors of {given.dimension}, {given.queries} queries, recall@{COUNT}")
        print(f"\n{'engine':12} {'build s':>8} {'cpu s':>8} {'MiB':>7}")
        for name, engine in engines.items():
            built = engine.build()
            print(f"{name:12} {built['wall']:8.1f} {built['cpu']:8.1f} {built['bytes'] / 2**20:7.0f}", flush=True)

        print(f"\n{'ef':>4} " + " ".join(f"{name + ' recall':>18} {'per cpu s':>9}" for name in engines))
        for ef in given.ef:
            best = dict.fromkeys(engines, float("inf"))
            found = {}
            # Engines take turns, so that whatever else the machine does hits all alike.
            for _ in range(given.rounds):
                for name, engine in engines.items():
                    engine.prepare(ef)
                    answer = engine.search(data.queries, 1, COUNT)
                    best[name] = min(best[name], answer["cpu"])
                    found[name] = answer["keys"]
            cells = (f"{recall(found[name], truth[1]):18.4f} {given.queries / best[name]:9.0f}" for name in engines)
            print(f"{ef:4} " + " ".join(cells), flush=True)

        print(f"\nfilters, ef {given.filter_ef}\n{'share':>6} " + " ".join(f"{name + ' recall':>18} {'per cpu s':>9} {'short':>5}" for name in engines))
        for engine in engines.values():
            engine.prepare(given.filter_ef)
        for every in EVERY[1:]:
            cells = []
            for name, engine in engines.items():
                queries = data.queries[: engine.filtered_queries(given.queries)]
                answer = engine.search(queries, every, COUNT)
                short = sum(len(keys) < COUNT for keys in answer["keys"])
                cells.append(f"{recall(answer['keys'], truth[every][: len(queries)]):18.4f} {len(queries) / answer['cpu']:9.0f} {short:5}")
            print(f"{100 / every:5.1f}% " + " ".join(cells), flush=True)
        for engine in engines.values():
            engine.close()


if __name__ == "__main__":
    main()
