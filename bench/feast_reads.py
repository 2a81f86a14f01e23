"""Run by Feast's own Python: ``python feast_reads.py FOLDER ASKED``, after ``feast_repo.py``.

ASKED is JSON: case → lists of ids, one for each read. Prints JSON: contender → case → seconds of each read, of an open
loop at twice the median of the contender's own, as the bench has it for fstk.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from feast import FeatureStore  # pyright: ignore[reportMissingImports]


def main(folder: str, asked: Path) -> None:
    store = FeatureStore(repo_path=folder)
    names = [f"t0:{field.name}" for field in store.get_feature_view("t0").features]
    wanted = {"Feast": names, "Feast precomputed": store.get_feature_service("vector")}
    cases = json.loads(asked.read_text(encoding="utf-8"))
    times = {}
    for contender, features in wanted.items():

        def read(keys: list[int], features: object = features) -> dict:
            entities = [{"id": key} for key in keys]
            return store.get_online_features(features, entities, full_feature_names=True).to_dict()

        found = read(cases["1 entity"][0])
        assert len(found) == len(names) + 1, found.keys()
        assert all(value is not None for values in found.values() for value in values), found
        times[contender] = {case: _open_loop(read, keys) for case, keys in cases.items()}
    print(json.dumps(times))


def _open_loop(read: Callable[[list[int]], object], asked: list[list[int]]) -> list[float]:
    warm = []
    for one in asked[:200]:
        began = time.perf_counter()
        read(one)
        warm.append(time.perf_counter() - began)
    interval, times = 2 * statistics.median(warm), []
    start = time.perf_counter() + interval
    for number, one in enumerate(asked):
        due = start + number * interval
        while time.perf_counter() < due:
            pass
        read(one)
        times.append(time.perf_counter() - due)
    return times


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
