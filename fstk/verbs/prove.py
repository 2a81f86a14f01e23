"""What ``fstk prove`` asks for: a notebook or a table, or the tables of a join, and the labels that ask about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fstk.display import Displayed, Sheet, Stacked
from fstk.errors import InvalidInput
from fstk.previews.join import TrainingSetPreview
from fstk.proof.prove import prove as proven
from fstk.proof.report import Labels, Proof
from fstk.proof.table import prove_table
from fstk.tables.spec import FeatureTable
from fstk.training.spec import FeatureLookup
from fstk.verbs.names import frame_or_name
from fstk.verbs.pit import PitRequest, sample_labels

_SAMPLE = 500


def prove(
    namespace: Mapping[str, Any] | None,
    what: str,
    labels: str | None,
    label: str | None,
    at: str | None,
    sample: int,
    as_known: bool,
    parameters: Mapping[str, str],
    tell: Callable[[str], None],
) -> Proof:
    """Return the proof of a notebook's or a table's features; raises as :func:`fstk.prove`."""
    found = None if labels is None else frame_or_name(labels, namespace or {})
    return proven(what, found, at=at, label=label, sample=sample, as_known=as_known, parameters=parameters, tell=tell)


@dataclass(frozen=True, repr=False)
class ProvenJoin(Stacked):
    """A join looked at, and what came of proving its tables; ``open`` says of those that could not be asked why not."""

    preview: TrainingSetPreview | Sheet
    proofs: tuple[Proof, ...]
    open: tuple[str, ...]

    @property
    def refusal(self) -> str | None:
        """What is against it, in a sentence."""
        found = [one.refusal for one in self.proofs]
        return " ".join([*filter(None, found), *self.open]) or None

    def parts(self) -> Sequence[Displayed]:
        unasked = [Sheet("", (), (), [f"NOT PROVED  {line}" for line in self.open])] if self.open else []
        looked = self.preview.parts() if isinstance(self.preview, Stacked) else [self.preview]
        return [*looked, *(part for proof in self.proofs for part in proof.parts()), *unasked]


def prove_join(
    request: PitRequest, preview: TrainingSetPreview | Sheet, progress: Callable[[int, int | None], None] | None
) -> ProvenJoin:
    """Prove the features that a join looks up, table by table, for a sample of its labels at their own times."""
    columns = list(request.plan().label_columns)
    labels, _ = sample_labels(request.labels, columns, every=False)
    tables = {table.name: table for table in request.tables}
    proofs, unasked = [], []
    for one in request.features:
        if not isinstance(one, FeatureLookup):
            continue
        table = tables[one.table_name]
        try:
            if one.timestamp_lookup_key is None:
                raise InvalidInput(f"{table.name} has no time, so its rows say of no instant what was known then.")
            keys = dict(zip(one.lookup_key, table.primary_keys, strict=True))
            named = [keys.get(name, name) for name in (*one.lookup_key, one.timestamp_lookup_key)]
            rows = labels.select([*one.lookup_key, one.timestamp_lookup_key]).rename_columns(named)
            asked = Labels(rows, one.timestamp_lookup_key, request.label)
            proofs.append(prove_table(_looked_up(table, one), asked, _SAMPLE, False, lambda line: None, progress))
        except InvalidInput as error:
            unasked.append(str(error))
    return ProvenJoin(preview, tuple(proofs), tuple(unasked))


def _looked_up(table: FeatureTable, lookup: FeatureLookup) -> FeatureTable:
    """Return the table with those of its features that a lookup takes."""
    if lookup.feature_names is None:
        return table
    kept = {*table.keys, *lookup.feature_names}
    return replace(table, schema={name: kind for name, kind in table.schema.items() if name in kept})
