"""Reports on disk: whole or as before, and without what an earlier one left."""

import errno
from pathlib import Path

import numpy as np
import pytest

from bbmr.atomic import OutputError, replacing
from bbmr.evaluation.report import write
from bbmr.evaluation.report.document import Document, Item, Plot, Section
from bbmr.evaluation.report.figures import Figure
from bbmr.evaluation.report.table import Column, Table
from bbmr.evaluation.report.write import write_report

TABLE = Table("t", "T", (Column("n", "d"),), [(3,)])
PLOT = Plot("p", "P", "<svg></svg>")
FIGURE = Figure("f", "F", "", np.zeros((4, 4, 3), np.uint8))


def document(*items: Item, title: str = "Title") -> Document:
    return Document(title, [], [Section("S", (), items)])


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_everything_is_written(tmp_path: Path) -> None:
    written = write_report(document(TABLE, PLOT, FIGURE), tmp_path / "new" / "report")
    folder = tmp_path / "new" / "report"
    assert written[:2] == [folder / "report.html", folder / "results.md"]
    assert files(folder) - {"results/.written"} == {str(path.relative_to(folder)) for path in written}
    assert (folder / "results" / "t.csv").read_text() == "n\n3\n"
    assert (folder / "results" / "p.svg").read_text() == PLOT.svg
    assert (folder / "results" / "f.png").read_bytes() == FIGURE.png()


def test_what_is_no_more_goes_away_and_foreign_files_stay(tmp_path: Path) -> None:
    beside = tmp_path / "results"
    beside.mkdir()
    for name in ("mine.csv", "mine.txt"):
        (beside / name).write_text("x")
    (tmp_path / "mine.png").write_text("x")
    write_report(document(TABLE, PLOT, FIGURE), tmp_path)
    with (beside / ".written").open("a") as file:
        file.write("../mine.png\nmine.txt\ngone.csv\n")
    write_report(document(PLOT), tmp_path)
    assert files(beside) == {".written", "p.svg", "mine.csv", "mine.txt"}
    assert (tmp_path / "mine.png").exists()
    assert (beside / ".written").read_text() == "p.svg\n"


def test_a_report_that_cannot_be_finished_leaves_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(document(TABLE, title="Old"), tmp_path)
    old = {name: (tmp_path / name).read_bytes() for name in ("report.html", "results.md")}
    png = FIGURE.png()

    def full(path: Path, overwrite: bool = False) -> object:
        if path.suffix == ".png":
            raise OSError(errno.ENAMETOOLONG, "File name too long")
        return replacing(path, overwrite)

    monkeypatch.setattr(write, "replacing", full)
    with pytest.raises(OutputError, match=r"f\.png: cannot be written \(File name too long\)"):
        write_report(document(PLOT, FIGURE, title="New"), tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in old} == old
    assert (tmp_path / "results" / "t.csv").exists()  # which the old one speaks of
    monkeypatch.setattr(write, "replacing", replacing)
    write_report(document(FIGURE, title="New"), tmp_path)
    assert files(tmp_path / "results") == {".written", "f.png"}  # nor does what was half written stay
    assert (tmp_path / "results" / "f.png").read_bytes() == png
    assert "New" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("blocked", ["results", "results/t.csv", "report.html", "results/.written"])
def test_a_folder_that_does_not_take_it(tmp_path: Path, blocked: str) -> None:
    if blocked == "results":
        (tmp_path / "results").write_text("a file")
    else:
        (tmp_path / blocked).mkdir(parents=True)
    with pytest.raises(OutputError, match=blocked.rpartition("/")[2]):
        write_report(document(TABLE), tmp_path)


def test_long_names_and_names_that_are_no_unicode(tmp_path: Path) -> None:
    long = "写" * 240
    items: list[Item] = [
        Table(long, "T", (Column("n"),), [("\udce9",)]),
        Plot(long, "P", "<svg/>"),
        Figure(long, "\udce9", "", FIGURE.image),
    ]
    written = write_report(document(*items), tmp_path)
    assert len(written) == 5
    assert all(path.stat().st_size > 0 and len(path.name.encode()) < 130 for path in written)
    markdown = written[1].read_text("utf-8")
    for path in written[3:]:
        assert f"](results/{path.name})" in markdown
