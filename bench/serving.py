"""``python -m bench serving``: a scikit-learn model of 50 features over HTTP, beside the model alone and other servers.

Requests are an open loop (:mod:`bench.open_loop`). fstk looks the features up; MLflow's server gets them in the
request; Feast's answers with features, precomputed, and has no model. One worker each; where there are two cores, the
server has the first, and store and client have the other, and once more all have both.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import redis
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bench import feast_env
from bench.open_loop import Answers, asked, called
from bench.report import machine
from fstk import FeatureLookup
from fstk.display import Displayed, Sheet
from tests.notebook.tables import write
from tests.processes import server
from tests.servers.redis import free_port, redis_server
from tests.servers.scoring import mlflow_server
from tests.serving.asking import flooded, worker_of
from tests.serving.project import INSTANT, Project

_NAMES = [f"f{number}" for number in range(50)]
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_MODEL = "models:/bench/1"
_APART, _ANYWHERE = "a core each", "any core"
_BARE, _MLFLOW, _FEAST = "model alone", "MLflow, no lookup", "Feast, no model"
_STORES = {"fstk, Redis": "redis", "fstk, SQLite": "sqlite"}
_FASTER, _STEPS = 1.25, 24  # of the search for the rate at which p99 doubles
_LOAD = 0.7

Placement = str
Case = tuple[Placement, int, str]


@dataclass(frozen=True)
class Size:
    """Entities; requests at each of the rates (1/s); seconds of each step of the search, and of the soak; and whether
    it is ``whole``: with Feast, which is installed for it, and with the cores shared in both ways."""

    rows: int
    requests: int
    rates: tuple[int, ...]
    step: float
    soak: float
    whole: bool


FULL, QUICK = Size(20_000, 10_000, (50, 200), 5.0, 600.0, True), Size(100, 20, (50, 200), 0.2, 1.0, False)


@dataclass(frozen=True)
class Soak:
    """What a long load came to: answers by status, and by how many bytes memory grew after its first tenth."""

    rate: float
    answers: Answers
    grown: int


@dataclass(repr=False)
class ServingReport(Displayed):
    """``answers`` by (placement, rate, contender), ``doubled`` the rate at which a contender's p99 is twice that of the
    lowest rate, ``flood`` the bytes that a gigabyte in chunks cost."""

    size: Size
    load: float
    answers: dict[Case, Answers] = field(default_factory=dict)
    doubled: dict[str, float | None] = field(default_factory=dict)
    soak: Soak | None = None
    flood: int = 0
    notes: list[str] = field(default_factory=list)

    def p99(self, case: Case) -> float | None:
        """Return the 99th percentile in seconds, None where nothing was answered."""
        found = self.answers.get(case)
        return float(np.quantile(found.seconds, 0.99)) if found and found.seconds else None

    def display(self) -> Sheet:
        """Return a line for each placement, rate and contender, beside the model alone and MLflow's server."""
        lines = []
        for case, found in self.answers.items():
            placement, rate, contender = case
            parts = [f"{1e3 * float(np.quantile(found.seconds, q)):.2f}" for q in (0.5, 0.99, 0.999)]
            own, bare = self.p99(case), self.p99((placement, rate, _BARE))
            other = self.p99((placement, rate, _MLFLOW))
            over = f"{1e3 * (own - bare):.2f}" if own and bare and contender != _BARE else None
            ratio = f"{own / other:.2f}" if own and other and contender != _MLFLOW else None
            lines.append((placement, rate, contender, *parts, over, ratio, found.failed))
        counts = f"{self.size.rows:,} entities × 50 features · {self.size.requests:,} requests a line · one worker"
        title = f"{counts} · load at start {self.load:.1f}\n{machine()}"
        heads = ("cores", "req/s", "contender", "p50 ms", "p99 ms", "p99.9 ms", "over model", "to MLflow", "failed")
        return Sheet(title, heads, lines, [*self._closing(), *self.notes])

    def _closing(self) -> Iterator[str]:
        yield "over model: p99 in ms above the model alone, whose aim is ≤ 2 at 200 req/s · to MLflow: ratio of p99"
        rates = [f"{name} {'not reached' if at is None else f'{at:,.0f}/s'}" for name, at in self.doubled.items()]
        if rates:
            yield f"p99 doubles at: {' · '.join(rates)}"
        if self.soak:
            counts = sorted(self.soak.answers.statuses.items())
            statuses = ", ".join(f"{count:,} × {status}" for status, count in counts)
            memory = f"memory grew by {self.soak.grown / 2**20:.1f} MiB"
            yield f"{self.size.soak:.0f} s at {self.soak.rate:.0f} req/s: {statuses} · {memory}"
            yield f"a chunked body of 1 GiB: {self.flood / 2**20:.1f} MiB"

    def as_dict(self) -> dict[str, Any]:
        """Return the figures, raw times among them, as plain values."""
        lines = [
            {"cores": cores, "rate": rate, "contender": who, "seconds": one.seconds, "statuses": dict(one.statuses)}
            for (cores, rate, who), one in self.answers.items()
        ]
        soak = self.soak and {
            "rate": self.soak.rate,
            "grown": self.soak.grown,
            "seconds": self.soak.answers.seconds,
            "statuses": dict(self.soak.answers.statuses),
        }
        return {
            "machine": machine(),
            "load": self.load,
            "size": vars(self.size),
            "lines": lines,
            "doubled": self.doubled,
            "soak": soak,
            "flood": self.flood,
            "notes": self.notes,
        }


@dataclass(frozen=True)
class _Bench:
    """The model, its rows and its stores."""

    project: Project
    token: str
    model: Any
    values: pandas.DataFrame
    stores: dict[str, str]
    redis_pid: int
    feast: Path | None


def measure(size: Size, only: str = "") -> ServingReport:
    """Measure all contenders, each for itself; or the model alone and those that have ``only`` in their names, at the
    rates and in the first placement alone."""
    size = replace(size, whole=False) if only else size
    report = ServingReport(size, os.getloadavg()[0])
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="fstk-bench-") as scratch, _prepared(Path(scratch), report) as bench:
        try:
            if len(cores) > 1:
                _measure(report, bench, _APART, cores[:1], cores[1:], only)
            if size.whole or len(cores) == 1:
                _measure(report, bench, _ANYWHERE, cores, cores, only)
        finally:
            os.sched_setaffinity(0, cores)
    return report


def _measure(
    report: ServingReport, bench: _Bench, placement: str, servers: list[int], client: list[int], only: str
) -> None:
    os.sched_setaffinity(bench.redis_pid, client)
    size, choose = report.size, random.Random(2)
    keys = [choose.randrange(size.rows) for _ in range(size.requests)]
    os.sched_setaffinity(0, client)
    frame = bench.values.iloc[:1]
    for rate in size.rates:
        _told(report, (placement, rate, _BARE), called(lambda: bench.model.predict(frame), size.requests, rate))
    for contender, opened in [one for one in _contenders(bench).items() if only in one[0]]:
        os.sched_setaffinity(0, servers)  # which those that are started have from this process
        with opened() as (port, request):
            os.sched_setaffinity(0, client)
            requests = [request(key) for key in keys]
            _check(bench, keys[0], contender, asked(port, requests[:1], 1.0).last)
            asked(port, requests[:200], size.rates[-1])
            for rate in size.rates:
                _told(report, (placement, rate, contender), asked(port, requests, rate))
            if only:
                continue
            if contender not in report.doubled:
                _search(report, (placement, size.rates[0], contender), port, requests)
            if report.soak is None:  # of the first, which looks up in Redis
                _soak(report, bench, report.doubled[contender] or size.rates[-1], port, requests)


def _check(bench: _Bench, key: int, contender: str, body: bytes) -> None:
    """Raise where a server's answer is not what the model says of an entity, or Feast's not the entity's features."""
    row = bench.values.iloc[[key]]
    wanted, found = bench.model.predict(row).tolist(), []
    if contender == _FEAST:
        wanted = sorted(row.to_numpy()[0].tolist())  # after the key, in an order of its own
        found = sorted(one["values"][0] for one in json.loads(body or '{"results": []}')["results"][1:])
    elif body:
        found = json.loads(body)["predictions"]
    if len(wanted) != len(found) or not np.allclose(wanted, found):
        raise RuntimeError(f"{contender} answers {body[:200]!r} where {wanted} is right")


def _told(report: ServingReport, case: Case, answers: Answers) -> None:
    report.answers[case] = answers
    placement, rate, contender = case
    print(f" {placement}, {rate}/s, {contender}: p99 {1e3 * (report.p99(case) or 0):.2f} ms", flush=True)


def _search(report: ServingReport, base: Case, port: int, requests: Sequence[bytes]) -> None:
    """Ask faster and faster, for some seconds each time, until p99 is twice that of the lowest rate."""
    size, contender = report.size, base[2]
    limit, rate = 2 * (report.p99(base) or 0.0), float(size.rates[-1])
    report.doubled[contender] = None
    for _ in range(_STEPS if size.whole else 2):
        rate *= _FASTER
        wanted = max(10, int(rate * size.step))
        found = asked(port, [requests[number % len(requests)] for number in range(wanted)], rate)
        if found.failed or float(np.quantile(found.seconds, 0.99)) > limit:
            report.doubled[contender] = rate
            break
    print(f" {contender}: p99 doubles at {report.doubled[contender]} req/s", flush=True)


def _soak(report: ServingReport, bench: _Bench, limit: float, port: int, requests: Sequence[bytes]) -> None:
    """Ask for long at a part of the rate at which p99 doubles; then send one body without end."""
    worker = worker_of(port)
    rate, seconds = _LOAD * limit, report.size.soak
    memory: list[int] = []
    print(f" {seconds:.0f} s at {rate:.0f} req/s …", flush=True)
    wanted = [requests[number % len(requests)] for number in range(int(rate * seconds))]
    answers = asked(port, wanted, rate, lambda: memory.append(worker.memory_info().rss))
    memory.append(worker.memory_info().rss)
    report.soak = Soak(rate, answers, memory[-1] - memory[len(memory) // 10])
    before = worker.memory_info().rss
    report.flood = flooded(port, bench.token, lambda: worker.memory_info().rss)[0] - before


Opened = Callable[[], Any]
"""Opens a server; yields its port, and what makes the request of an entity."""


def _contenders(bench: _Bench) -> dict[str, Opened]:
    made: dict[str, Opened] = {
        name: lambda store=bench.stores[kind]: _fstk(bench, store) for name, kind in _STORES.items()
    }
    made[_MLFLOW] = lambda: _mlflow(bench)
    if bench.feast is not None:
        made[_FEAST] = lambda folder=bench.feast: _feast(folder)
    return made


@contextmanager
def _fstk(bench: _Bench, store: str) -> Iterator[tuple[int, Callable[[int], bytes]]]:
    with bench.project.served(model=_MODEL, store=store) as port:
        yield port, lambda key: _request("/invocations", {"dataframe_records": [{"id": key}]}, bench.token)


@contextmanager
def _mlflow(bench: _Bench) -> Iterator[tuple[int, Callable[[int], bytes]]]:
    values, columns = bench.values.to_numpy().tolist(), {"columns": _NAMES}
    with mlflow_server(_MODEL, bench.project.env, bench.project.folder) as port:
        yield port, lambda key: _request("/invocations", {"dataframe_split": columns | {"data": [values[key]]}})


@contextmanager
def _feast(folder: Path) -> Iterator[tuple[int, Callable[[int], bytes]]]:
    once = ["--max-requests", "0"]  # else it starts its worker anew every thousand requests
    command = [str(feast_env.feast() / "feast"), "serve", "--port", str(free_port()), "--no-access-log", *once]
    asks = {"feature_service": "vector", "full_feature_names": True}
    with server(command, r"Listening at: .*:(\d+)", feast_env.quiet(), folder) as port:
        yield port, lambda key: _request("/get-online-features", asks | {"entities": {"id": [key]}})


def _request(path: str, body: dict[str, Any], token: str = "") -> bytes:
    content = json.dumps(body).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: bench",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *([f"Authorization: Bearer {token}"] if token else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content


@contextmanager
def _prepared(folder: Path, report: ServingReport) -> Iterator[_Bench]:
    """Make the table, a model of it, and publish it to both stores."""
    project = Project(folder)
    rows, rng = report.size.rows, np.random.default_rng(3)
    values = pandas.DataFrame(rng.random((rows, len(_NAMES))), columns=pandas.Index(_NAMES))
    keys, times = pa.array(range(rows), pa.int64()), pa.array([_AT] * rows, INSTANT)
    table = pa.table({"id": keys, "at": times, **{name: pa.array(values[name]) for name in _NAMES}})
    write(
        folder / "fstk-warehouse" / "bench" / "t0",
        table,
        primary_keys='["id"]',
        timeseries_column="at",
        grants='{"SELECT": ["bench"]}',
    )
    print(f" {rows:,} rows, a model, two stores …", flush=True)
    with redis_server(folder / "redis") as port, redis.Redis(port=port) as client:
        found: Any = client.info("server")
        stores = {"redis": f"redis://127.0.0.1:{port}", "sqlite": f"sqlite:///{folder}/online.db"}
        with project.inside() as fe:
            for store in stores.values():
                fe.publish_table(source_table_name="bench.t0", online_store=store)
            model = _logged(fe, rng, min(rows, 500))
        feast = _feast_of(folder, port, table, report) if report.size.whole else None
        token, _ = project.tokens.new("bench")
        yield _Bench(project, token, model, values, stores, found["process_id"], feast)


def _logged(fe: Any, rng: np.random.Generator, number: int) -> Any:
    labels = pa.table(
        {
            "id": pa.array(range(number), pa.int64()),
            "when": pa.array([_AT + timedelta(days=1)] * number, INSTANT),
            "y": rng.random(number),
        }
    )
    lookup = FeatureLookup("bench.t0", "id", timestamp_lookup_key="when")
    training_set = fe.create_training_set(
        df=labels, feature_lookups=[lookup], label="y", exclude_columns=["id", "when"]
    )
    frame = training_set.to_pandas()
    model = make_pipeline(StandardScaler(), Ridge()).fit(frame[_NAMES], frame["y"])
    fe.log_model(
        model=model,
        artifact_path="model",
        flavor=importlib.import_module("mlflow.sklearn"),
        training_set=training_set,
        registered_model_name="bench",
    )
    return model


def _feast_of(folder: Path, port: int, table: pa.Table, report: ServingReport) -> Path | None:
    """Return a folder from which Feast serves the same rows, None, and a note, where it cannot be had."""
    place = folder / "feast"
    place.mkdir()
    pq.write_table(table, place / "rows.parquet")
    try:
        python = feast_env.feast() / "python"
        print(" Feast computes its vectors …", flush=True)
        command = [python, Path(__file__).with_name("feast_repo.py"), place, str(port), place / "rows.parquet"]
        done = subprocess.run(command, env=feast_env.quiet(), timeout=900, capture_output=True, text=True, check=False)
    except (feast_env.NoFeast, subprocess.TimeoutExpired) as error:
        report.notes.append(f"Feast was not measured: {error}")
        return None
    if done.returncode:
        report.notes.append(f"Feast was not measured: {(done.stderr.strip() or 'it failed').splitlines()[-1]}")
        return None
    return place
