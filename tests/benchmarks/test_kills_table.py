"""The benchmark of kills: a few of them, and that it would see what is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kills.py"
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")


def run(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int, dict[str, dict[str, int]], str]:
    """Exit code, the table by job and column, and stderr."""
    command = [sys.executable, str(SCRIPT), "--pictures", "8", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | (environment or {}))
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    header, _, *rows = ([cell.strip() for cell in line.strip("| ").split("|")] for line in lines)
    table = {name: dict(zip(header[1:], map(int, cells), strict=True)) for name, *cells in rows}
    return done.returncode, table, done.stderr


def test_whatever_is_killed_leaves_whole_files() -> None:
    code, table, said = run("--kills", "20")
    assert code == 0, said
    for tally in table.values():
        assert tally["kills"] == 10
        assert tally["wrong"] == 0
        assert tally["ended"] >= 1
        assert tally["files"] > 0
    assert list(table) == ["compress", "restore"]


def test_files_that_grow_under_their_final_name_are_seen(tmp_path: Path) -> None:
    # What Python imports by itself when it starts; the rest of the program is as it is.
    (tmp_path / "sitecustomize.py").write_text(
        "import os, time\n"
        "def link(draft, target, rename=os.rename):\n"
        "    with open(draft, 'rb') as file, open(target, 'xb') as half:\n"
        "        half.write(file.read(20))\n"
        "        half.flush()\n"
        "        time.sleep(0.05)\n"
        "        half.write(file.read())\n"
        "os.link = link\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    code, table, said = run("--kills", "20", environment={"PYTHONPATH": path})
    assert code == 1
    assert table["compress"]["wrong"] > 0
    assert "wrong: 00" in said
