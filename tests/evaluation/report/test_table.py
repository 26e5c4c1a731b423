"""Tables: words, numbers and gaps as Markdown, and every digit as CSV."""

import csv

from bbmr.evaluation.report.table import Column, Table, slug

TABLE = Table(
    "t", "A table", (Column("name"), Column("gain", "+.2f")), [("a|b", 1.23456), ("c", None), ("d, e", float("nan"))]
)


def test_markdown() -> None:
    assert TABLE.to_markdown().splitlines() == [
        "| name | gain |",
        "| --- | ---: |",
        "| a\\|b | +1.23 |",
        "| c | – |",
        "| d, e | – |",
    ]


def test_csv_keeps_all_digits() -> None:
    rows = list(csv.reader(TABLE.to_csv().splitlines()))
    assert rows[:3] == [["name", "gain"], ["a|b", "1.23456"], ["c", ""]]
    assert rows[3][0] == "d, e"


def test_slug() -> None:
    assert slug("Down-Net + fast, LR by my_lr:shrink") == "down-net-fast-lr-by-my-lr-shrink"
