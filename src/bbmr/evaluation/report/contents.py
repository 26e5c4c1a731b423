"""What a report is asked to hold, and what has to be measured for that."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from bbmr.blocks import PAPER_SCALES
from bbmr.evaluation.choices import TABLES
from bbmr.evaluation.families import Family, Row, peers
from bbmr.evaluation.no_reference.ma import MaModel
from bbmr.evaluation.report.classes import Thresholds
from bbmr.evaluation.report.illustrations import Crop
from bbmr.evaluation.results import Task
from bbmr.evaluation.systems import System, hash_of_weights

_ROWS: Mapping[str, Callable[[Family], Sequence[Row]]] = {
    "1": lambda family: (),
    "2": Family.methods,
    "3": Family.methods,
    "4": Family.estimators,
    "5": Family.steps,
    "sides": Family.sides,
}
"""Those that each of TABLES has of a family."""


@dataclass(frozen=True)
class Plan:
    """families: whose rows.  tables: which, out of TABLES.  efforts: of one more, of refined LR samples.  thresholds:
    of table 1.  crops: to be shown beside those that are found.  with_ma: PI is measured.
    """

    families: Sequence[Family]
    tables: Collection[str] = TABLES
    efforts: Sequence[int] = ()
    thresholds: Thresholds = field(default_factory=Thresholds)
    crops: Sequence[Crop] = ()
    with_ma: bool = False

    def not_shown(self) -> list[str]:
        """What is asked for and has no place in these tables."""
        reasons = []
        if self.crops and ("2" not in self.tables or not any(family.has_crops for family in self.families)):
            reasons.append("crops are shown beside table 2, of pipelines that restore blocks, which is not asked for")
        if "2" not in self.tables and any(family.own.allocator for family in self.families):
            reasons.append("an allocator of one's own has a row in table 2 alone, which is not asked for")
        return reasons


def find_tasks(plan: Plan, ma_model: str = "") -> list[Task]:
    """Everything to measure of each picture, each once.

    ma_model: path of the Ma model, or empty.  Raises BbmrError where that is none.
    """
    ma = ""
    if ma_model:
        MaModel.load(ma_model)  # that something is wrong with it is known before long work
        ma = sha256(Path(ma_model).read_bytes()).hexdigest()
    systems: dict[System, None] = {}
    for row in _rows(plan):
        for system in (row.gained_over, row.system):
            if system is not None:
                systems[system] = None
    found = [Task(fingerprint=ma)] if "2" in plan.tables else []
    found += [Task(system, fingerprint=f"{system.fingerprint} {ma}".strip()) for system in systems]
    if "1" in plan.tables:
        measures = dict.fromkeys(family.block_measure for family in plan.families if family.block_measure)
        found += [Task(None, name, PAPER_SCALES, hash_of_weights(name)) for name in measures]
    return found


def _rows(plan: Plan) -> list[Row]:
    rows = peers() if "2" in plan.tables else []
    for family in plan.families:
        for table in plan.tables:
            rows += _ROWS[table](family)
        rows += family.refined(plan.efforts)
    return rows
