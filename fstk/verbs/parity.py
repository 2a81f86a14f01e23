"""What ``fstk parity`` asks for, as one request that can be carried out, or told in plain Python."""

from __future__ import annotations

from dataclasses import dataclass

from fstk.online.parity import ParityReport, check_parity
from fstk.online.source import Progress
from fstk.tables.configured import open_catalog
from fstk.verbs.code import Code, call, literal


@dataclass(frozen=True)
class ParityRequest:
    """A comparison as it was asked for; None stands for the settings' store, for all keys, for a seed of its own."""

    table: str
    to: str | None
    sample: int | None
    seed: int | None

    def run(self, progress: Progress | None) -> ParityReport:
        """Compare; raises as :func:`fstk.online.parity.check_parity`."""
        table = open_catalog().get(self.table)
        return check_parity(table, self.to, sample=self.sample, seed=self.seed, progress=progress)

    def code(self) -> Code:
        given = {"store": self.to, "sample": self.sample, "seed": self.seed}
        words = [(name, literal(value)) for name, value in given.items() if value is not None]
        compared = call("check_parity", [("table", f"fe.get_table(name={literal(self.table)})"), *words])
        first = "from fstk import FeatureEngineeringClient\nfrom fstk.online.parity import check_parity"
        return Code.of(f"{first}\n\nfe = FeatureEngineeringClient()\nparity = {compared}\nparity")
