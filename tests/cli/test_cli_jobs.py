"""Folders of pictures: by several processes, stopped and resumed, on full disks."""

import errno
import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner
from waiting import until

from bbmr.cli import app

QUICK = ("--lossless-lr", "--pipeline", "mosaic-fast", "--distortion", "bicubic")


def bbmr(*arguments: str | Path, code: int = 0) -> tuple[str, str]:
    """(stdout, stderr) of a run that has to end with `code`."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.stderr)
    return result.stdout, result.stderr


def paint(path: Path, seed: int = 0, side: int = 60) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).normal(128, 30, (side, side, 3)).clip(0, 255).astype(np.uint8)
    Image.fromarray(array).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures a, b and c, the largest first."""
    monkeypatch.chdir(tmp_path)
    for index, name in enumerate("abc"):
        paint(Path(f"in/{name}.png"), index, 60 + 200 * (name == "a"))
    return Path("in")


def contents(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_two_processes_do_what_one_does(photos: Path) -> None:
    with Image.open("in/b.png") as image:
        image.quantize(16).save("in/b.png")
    (photos / "bad.png").write_bytes(b"\x89PNG no more than this")
    results = []
    for jobs in ("1", "2"):
        out, err = bbmr("compress", photos, "-o", f"packed{jobs}", "--jobs", jobs, "--json", *QUICK, code=1)
        results.append((json.loads(out.replace(f"packed{jobs}", "packed")), err))
        bbmr("restore", f"packed{jobs}", "-o", f"back{jobs}", "--jobs", jobs)
    (alone, said), (together, said_too) = results
    assert said == said_too
    assert said.splitlines() == [
        "note: in/b.png: read as RGB; its own mode is P",
        "1 of 4 failed:",
        "error: in/bad.png: the picture is damaged or truncated (no PNG header); get a new copy",
    ]
    for record in (*alone, *together):
        record.pop("seconds", None)
    assert alone == together
    assert [Path(record["input"]).name for record in together] == ["a.png", "b.png", "bad.png", "c.png"]
    assert contents("packed1") == contents("packed2")
    assert contents("back1") == contents("back2")
    assert set(contents("back2")) == {"a.png", "b.png", "c.png"}


def test_what_is_there_already_is_not_done_again(photos: Path) -> None:
    bbmr("compress", photos, "-o", "out", *QUICK)
    before = contents("out")
    changed = {path.name: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    Path("out/b.bbmr").unlink()
    paint(photos / "d.png")
    out, _ = bbmr("compress", photos, "-o", "out", "--resume", *QUICK)
    assert [line.split(":")[0] for line in out.splitlines()] == ["out/b.bbmr", "out/d.bbmr", "2 were there already"]
    assert {name: data for name, data in contents("out").items() if name != "d.bbmr"} == before
    for name in ("a.bbmr", "c.bbmr"):
        assert Path("out", name).stat().st_mtime_ns == changed[name]

    out, _ = bbmr("compress", photos, "-o", "out", "--resume", "--json", *QUICK)
    records = json.loads(out)
    assert [record["kept"] for record in records] == [True] * 4
    assert records[0] == {"input": "in/a.png", "output": "out/a.bbmr", "bytes": len(before["a.bbmr"]), "kept": True}
    out, _ = bbmr("compress", photos / "a.png", "-o", "out", "--resume", *QUICK)
    assert out == "1 was there already\n"
    assert bbmr("compress", photos, "-o", "out", "--resume", "--quiet", *QUICK) == ("", "")

    _, err = bbmr("compress", photos, "-o", "out", *QUICK, code=1)
    assert err.count("exists already") == 4
    assert "--resume" in err
    _, err = bbmr("compress", photos, "-o", "out", "--resume", "--overwrite", code=2)
    assert "leave one out" in err
    assert {name: data for name, data in contents("out").items() if name != "d.bbmr"} == before


def test_what_is_there_but_not_whole_is_named_and_stays(photos: Path) -> None:
    bbmr("compress", photos, "-o", "out", *QUICK)
    whole = Path("out/a.bbmr").read_bytes()
    Path("out/a.bbmr").write_bytes(whole[:-1])
    Path("out/b.bbmr").write_bytes(bytes([*whole[:-1], whole[-1] ^ 1]))
    Path("out/c.bbmr").write_bytes(b"")
    paint(photos / "d.png")
    before = contents("out")
    out, err = bbmr("compress", photos, "-o", "out", "--resume", *QUICK, code=1)
    assert out.startswith("out/d.bbmr: ")
    assert "already" not in out
    assert "3 of 4 failed" in err
    for name, reason in (("a", "cut off"), ("b", "damaged"), ("c", "the file is empty")):
        assert f"error: out/{name}.bbmr: is there already, but: {reason}" in err
    assert {name: data for name, data in contents("out").items() if name != "d.bbmr"} == before

    Path("back").mkdir()
    Path("back/d.png").touch()
    _, err = bbmr("restore", "out/d.bbmr", "-o", "back", "--resume", code=1)
    assert err.startswith("error: back/d.png: is there already, but: ")
    Path("back/d.png").write_bytes(b"something")
    _, err = bbmr("restore", "out/d.bbmr", "-o", "back", "--resume", code=1)
    assert err.startswith("error: back/d.png: is there already, but: ")
    paint(Path("back/d.png"), side=30)
    _, err = bbmr("restore", "out/d.bbmr", "-o", "back", "--resume", code=1)
    assert "it has 30 x 30 pixels, and would have 60 x 60; remove it first" in err
    bbmr("restore", "out/d.bbmr", "-o", "back", "--overwrite")
    assert bbmr("restore", "out/d.bbmr", "-o", "back", "--resume") == ("1 was there already\n", "")
    _, err = bbmr("restore", "out/d.bbmr", "-o", "back", "--resume", "--preview", "4", code=1)
    assert "would have 15 x 15" in err


def test_what_is_there_of_another_picture_is_named_and_stays(photos: Path) -> None:
    bbmr("compress", photos, "-o", "out", *QUICK)
    paint(Path("elsewhere/a.png"), side=90)
    before = contents("out")
    _, err = bbmr("compress", "elsewhere", "-o", "out", "--resume", *QUICK, code=1)
    assert "out/a.bbmr: is there already, but: it is of another picture, of 260 x 260 pixels; this has 90 x 90" in err
    paint(photos / "b.png", seed=7)
    later = time.time() + 5
    os.utime(photos / "b.png", (later, later))
    out, err = bbmr("compress", photos, "-o", "out", "--resume", *QUICK, code=1)
    assert "out/b.bbmr: is there already, but older than in/b.png; remove it, or replace it" in err
    assert out == "2 were there already\n"
    assert contents("out") == before


def test_drafts_of_killed_runs_are_cleared(photos: Path) -> None:
    bbmr("compress", photos, "-o", "out", *QUICK)
    draft, other = Path("out/.a.bbmr.01234567.part"), Path("out/.z.bbmr.01234567.part")
    for arguments in (["--resume"], ["--overwrite"], []):
        draft.touch()
        other.touch()
        bbmr("compress", photos, "-o", "out", *arguments, *QUICK, code=0 if arguments else 1)
        assert not draft.exists()
        assert other.exists()  # none of this job's


@pytest.mark.parametrize("out", ["out", "new", "f" * 300])
def test_names_that_no_file_can_have_fail_alone(photos: Path, out: str) -> None:
    Path("out").mkdir()
    long = paint(photos / f"{'n' * 251}.png")  # with .bbmr, one byte more than file systems take
    Path("in/loop.png").symlink_to("loop.png")
    for arguments in ((), ("--resume",)):
        _, err = bbmr("compress", photos, "-o", out, *arguments, "--jobs", "1", *QUICK, code=1)
        assert "unexpected" not in err
        if out.startswith("f"):
            assert err.startswith("5 of 5 failed:\n")
            assert "a.bbmr: cannot be looked at (File name too long)" in err
            continue
        assert "error: in/loop.png: cannot be read ([Errno 40] Too many levels of symbolic links: 'in/loop.png')" in err
        assert f"error: {out}/{long.stem}.bbmr: cannot be written (File name too long); choose another name" in err
        assert set(contents(out)) == {"a.bbmr", "b.bbmr", "c.bbmr"}
    if not out.startswith("f"):
        assert err.startswith("2 of 5 failed:\n")


def test_what_one_may_not_look_at_fails_alone(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint(Path("closed/d.png"))
    look = os.stat

    def guarded(path: str | Path, **options: Any) -> os.stat_result:
        if "closed" in Path(path).parent.parts:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return look(path, **options)

    monkeypatch.setattr(os, "stat", guarded)
    _, err = bbmr("compress", photos, "closed/d.png", "-o", "out", "--jobs", "1", *QUICK, code=1)
    assert err == "1 of 4 failed:\nerror: closed/d.png: you may not read this file\n"
    assert set(contents("out")) == {"a.bbmr", "b.bbmr", "c.bbmr"}
    _, err = bbmr("compress", "closed/d.png", *QUICK, code=1)
    assert err == "error: closed/d.bbmr: cannot be written (Permission denied); check space and rights\n"
    _, err = bbmr("compress", "in/a.png", "-o", "closed/new/", *QUICK, code=1)
    assert err == "error: closed/new/a.bbmr: cannot be looked at (Permission denied)\n"
    _, err = bbmr("map", "out/a.bbmr", "-o", "closed/new/map.png", code=1)
    assert err == "error: closed/new/map.png: cannot be written (Permission denied); check space and rights\n"


def test_names_that_stdout_has_no_characters_for_are_escaped(photos: Path) -> None:
    paint(Path(os.fsdecode(b"in/b\xe9.png")))
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}

    def run(*arguments: str | Path) -> str:
        command = [sys.executable, "-m", "bbmr", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert not done.stderr
        return done.stdout

    out = run("compress", photos, "-o", "out", "--jobs", "1")
    assert [line.split(":")[0] for line in out.splitlines()] == [
        f"out/{name}.bbmr" for name in ("a", "b", "b\\udce9", "c")
    ]
    assert "out/b\\udce9.bbmr" in run("info", "out")
    records = json.loads(run("compress", photos, "-o", "out", "--resume", "--json"))
    assert os.fsencode(records[2]["output"]) == b"out/b\xe9.bbmr"


def test_a_full_disk_stops_the_job(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fsync
    written = []

    def full(descriptor: int) -> None:
        if os.fstat(descriptor).st_mode & 0o100000:  # a file
            written.append(descriptor)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    paint(photos / "d.png")
    out, err = bbmr("compress", photos, "-o", "out", "--jobs", "1", "--json", *QUICK, code=1)
    assert err.splitlines() == [
        "1 of 4 failed:",
        "error: out/b.bbmr: cannot be written (No space left on device); make space",
        "2 not begun, for want of space; make some, and go on with --resume",
    ]
    assert [record.get("error", "")[:9] for record in json.loads(out)] == ["", "out/b.bbm", "not begun", "not begun"]
    assert set(contents("out")) == {"a.bbmr"}


def test_what_the_system_refuses_to_write_is_said_and_leaves_nothing(photos: Path) -> None:
    bbmr("compress", photos, "-o", "packed", *QUICK)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))  # more than the small pictures take
    try:
        _, err = bbmr("restore", "packed", "-o", "back", "--jobs", "1", code=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert err.splitlines() == [
        "1 of 3 failed:",
        "error: back/a.png: cannot be written (File too large); check space and rights",
    ]
    assert set(contents("back")) == {"b.png", "c.png"}


@contextmanager
def begun(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """`bbmr` in a process group of its own, once it has printed the first result."""
    # Where these tests run in the background of a shell, Ctrl-C is ignored, and what they start would inherit that.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{heeding}; from bbmr.cli import main; main()", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout
            assert ".bbmr: " in process.stdout.readline()
            yield process
        finally:
            process.kill()


def group(number: int) -> set[int]:
    """The living processes of a group."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]
        except OSError:  # it has just ended
            continue
        if int(its_group) == number and state not in "ZX":
            found.add(int(stat.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not list its processes in files")
@pytest.mark.parametrize(
    ("number", "jobs", "code"),
    [(signal.SIGINT, "2", 130), (signal.SIGINT, "1", 130), (signal.SIGTERM, "2", 143), (signal.SIGKILL, "2", -9)],
)
def test_a_stopped_job_leaves_whole_files_and_no_process(
    photos: Path, number: signal.Signals, jobs: str, code: int
) -> None:
    for index in range(40):
        paint(photos / f"{index:02}.png", index, 150)
    with begun("compress", "in", "-o", "out", "--jobs", jobs) as process:
        assert len(group(process.pid)) >= int(jobs)
        stopped = time.monotonic()
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)
        _, err = process.communicate()
        assert time.monotonic() - stopped < 5
        assert process.returncode == code
        until(lambda: not group(process.pid), seconds=5)
    made = set(contents("out"))
    if number != signal.SIGKILL:
        word = "interrupted" if number == signal.SIGINT else "terminated"
        assert re.fullmatch(rf"{word}: \d+ of 43 done; go on with --resume\n", err)
        assert not [name for name in made if name.startswith(".")]
    for name in made:
        if not name.startswith("."):
            bbmr("info", Path("out", name), "--quiet")


def test_people_who_look_on_see_one_bar_and_results_apart(photos: Path) -> None:
    with Image.open("in/b.png") as image:
        image.quantize(16).save("in/b.png")
    (photos / "bad.png").write_bytes(b"\x89PNG no more than this")
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "bbmr", "compress", "in", "-o", "out", "--jobs", "1", *QUICK]
    environment = os.environ | {"COLUMNS": "120", "TERM": "xterm"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=end, env=environment) as process:
        os.close(end)
        seen = b""
        while True:
            try:
                seen += os.read(terminal, 1 << 16)
            except OSError:  # how a terminal ends
                break
        assert process.stdout
        printed = process.stdout.read().decode().splitlines()
    os.close(terminal)
    assert process.returncode == 1
    assert [line.split(":")[0] for line in printed] == ["out/a.bbmr", "out/b.bbmr", "out/c.bbmr"]
    assert not any("\x1b" in line for line in printed)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode()).splitlines()
    assert any(re.search(r"3 of 4 done, 1 failed, [\d.]+(/s| s each)", line) for line in shown)
    assert "note: in/b.png: read as RGB; its own mode is P" in [line.strip() for line in shown]
