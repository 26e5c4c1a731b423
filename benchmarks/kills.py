"""Kill jobs over folders at random moments, and look whether what they leave is whole: a Markdown table.

    python benchmarks/kills.py
    python benchmarks/kills.py --kills 1000 --seed 7
    python benchmarks/kills.py --kills 20 --jobs 2

Small synthetic pictures are compressed, and restored, by `bbmr compress` and `bbmr restore` on their folder.  A job is
killed (SIGKILL, all its processes at once) and run again with --resume until it ends well; then it begins anew, until
there were so many kills.  After every kill each file under a final name has to equal, byte for byte, that of a job that
nobody disturbed; in the end the whole folder has to, without any draft.

Half of the kills come at any moment, the others up to 5 ms after a draft was seen: while it is written, brought to the
disk, named or removed.  A job is a fork of this process, which has everything imported, so that a kill takes a fraction
of a second; with --jobs its workers start from nothing, and that takes seconds.

Columns.  Kills.  Drafts that they left: not whole yet; whole, and without their final name; with it, and about to lose
the other.  Files: how many were compared after kills.  Wrong: those that differed, or were none of the job's, and jobs
that failed; it stops there.  Ended: how often a job came to its end.
"""

import argparse
import os
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # threads do not go along with a fork

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from bbmr.api import compress, load, restore
from bbmr.cli import app

COMPRESS = ("compress", "--pipeline", "mosaic-fast", "--distortion", "bicubic")  # few milliseconds a picture
RESTORE = ("restore",)
LATEST = 0.005
"""Seconds after a draft was seen; to bring one to the disk and give it its name takes about so long."""
DRAFT = re.compile(r"\.(.+)\.[0-9a-f]{8}\.part")


@dataclass(frozen=True)
class Job:
    """arguments: those of `bbmr`, but for --resume.  made: what comes about in the folder `out`, by name, if nobody
    disturbs it; seconds: how long that takes.
    """

    arguments: tuple[str, ...]
    out: Path
    made: Mapping[str, bytes]
    seconds: float


@dataclass(frozen=True)
class Moment:
    """When to kill: so many seconds after the start or, unless `drafts` is 0, after that many drafts were seen."""

    seconds: float
    drafts: int = 0


NEVER = Moment(float("inf"))


@dataclass
class Tally:
    """What came of the kills, see the columns; drafts: how many in each state."""

    kills: int = 0
    drafts: Counter[str] = field(default_factory=Counter)
    files: int = 0
    wrong: list[str] = field(default_factory=list)
    ended: int = 0

    def row(self, name: str) -> str:
        states = (self.drafts[state] for state in ("part", "whole", "named"))
        cells = (name, self.kills, *states, self.files, len(self.wrong), self.ended)
        return f"| {' | '.join(map(str, cells))} |"


HEADER = "| job | kills | drafts not whole | whole, no name | named | files | wrong | ended |"


def paint(folder: Path, count: int) -> None:
    """Waves and noise, 64 to 200 pixels a side."""
    folder.mkdir()
    numbers = np.random.default_rng(0)
    for index in range(count):
        height, width = numbers.integers(64, 201, 2)
        y, x = np.mgrid[:height, :width]
        waves = 128 + 70 * np.sin(x / numbers.uniform(2, 20)) * np.cos(y / numbers.uniform(2, 20))
        array = waves[:, :, None] + numbers.normal(0, 12, (height, width, 3))
        Image.fromarray(array.clip(0, 255).astype(np.uint8)).save(folder / f"{index:03}.png")


def start(arguments: Sequence[str], log: Path) -> int:
    """`bbmr` with these arguments in a process, and a process group, of its own: its id."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        with suppress(OSError):  # it has done so itself
            os.setpgid(process, process)
        return process
    code: object = 1
    try:
        os.setpgid(0, 0)
        with log.open("a") as file, redirect_stdout(file), redirect_stderr(file):
            app(arguments, prog_name="bbmr")
    except SystemExit as end:
        code = end.code
    finally:
        os._exit(code if isinstance(code, int) else 1)


def drafts_in(folder: Path) -> set[str]:
    with suppress(FileNotFoundError):
        return {name for name in os.listdir(folder) if DRAFT.fullmatch(name)}
    return set()


def code_by(moment: Moment, process: int, folder: Path, old: set[str]) -> int | None:
    """Wait until then: None, or the exit code if the process ends before.  old: drafts that do not count."""
    since = None if moment.drafts else time.monotonic()
    seen: set[str] = set()
    while since is None or time.monotonic() < since + moment.seconds:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        seen |= drafts_in(folder) - old
        if since is None and len(seen) >= moment.drafts:
            since = time.monotonic()
        time.sleep(2e-4)
    return None


def kill(process: int) -> None:
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)


def compare(job: Job, old: set[str], tally: Tally) -> None:
    """Look at what a kill has left."""
    for path in job.out.iterdir() if job.out.exists() else ():
        if draft := DRAFT.fullmatch(path.name):
            whole = job.made.get(draft[1])
            if whole is None:
                tally.wrong.append(path.name)
            elif path.name not in old:
                state = path.stat()
                name = "named" if state.st_nlink > 1 else "whole" if state.st_size == len(whole) else "part"
                tally.drafts[name] += 1
        else:
            tally.files += 1
            if path.read_bytes() != job.made.get(path.name):
                tally.wrong.append(path.name)


def run_killed(job: Job, kills: int, numbers: random.Random, log: Path, tally: Tally) -> None:
    """One job from its beginning to its end, with kills until there were so many in all."""
    code = None
    while code is None:
        old = drafts_in(job.out)
        if tally.kills == kills:
            moment = NEVER
        elif numbers.random() < 0.5:
            moment = Moment(numbers.uniform(0, job.seconds / 2))
        else:
            moment = Moment(numbers.uniform(0, LATEST), numbers.randint(1, 4))
        process = start([*job.arguments, "--resume"], log)
        try:
            code = code_by(moment, process, job.out, old)
        except BaseException:
            kill(process)
            raise
        if code is None:
            kill(process)
            tally.kills += 1
            compare(job, old, tally)
    if code:
        tally.wrong.append(f"exit code {code}")
    tally.ended += 1
    left = contents(job.out)
    tally.wrong += [name for name in left.keys() | job.made.keys() if left.get(name) != job.made.get(name)]


def undisturbed(arguments: Sequence[str], out: Path, log: Path) -> Job:
    whole = (*arguments, "-o", str(out))
    begun = time.monotonic()
    if code := code_by(NEVER, start(whole, log), out, set()):
        sys.exit(f"exit code {code}, undisturbed: {log.read_text()}")
    seconds = time.monotonic() - begun
    for path in out.iterdir():
        if path.suffix == ".bbmr":
            load(path)
        else:
            with Image.open(path) as image:
                image.load()
    return Job(whole, out, contents(out), seconds)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def bars_without_thread() -> Progress:
    """Forks come out of this process."""
    return Progress(console=Console(file=sys.stderr), transient=True, auto_refresh=False)


def remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="in all, half of them for each job (default: 200)")
    parser.add_argument("--pictures", type=int, default=40, help="of a job (default: 40)")
    parser.add_argument("--jobs", type=int, default=1, help="processes of a job (default: 1, without any start-up)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    options = parser.parse_args(arguments)
    if min(options.kills, options.pictures, options.jobs) < 1:
        parser.error("--kills, --pictures and --jobs: one at least")
    numbers = random.Random(options.seed)
    restore(compress(np.zeros((64, 64, 3), np.uint8), pipeline="mosaic-fast", distortion="bicubic"))  # reads weights
    tallies: dict[str, Tally] = {}
    begun = time.monotonic()
    with TemporaryDirectory() as name, bars_without_thread() as bars:
        folder = Path(name)
        log = folder / "log.txt"
        paint(folder / "photos", options.pictures)
        together = ("--quiet", "--jobs", str(options.jobs))
        source = folder / "photos"
        for verb, suffix in ((COMPRESS, "packed"), (RESTORE, "restored")):
            job = undisturbed([*verb, str(source), *together], folder / suffix, log)
            source = folder / f"{suffix}-undisturbed"
            job.out.rename(source)
            tally = tallies[verb[0]] = Tally()
            kills = -(-options.kills // 2)
            task = bars.add_task(verb[0], total=kills)
            while tally.kills < kills and not tally.wrong:
                run_killed(job, kills, numbers, log, tally)
                bars.update(task, completed=tally.kills, refresh=True)
                remove(job.out)
        said = log.read_text()
    print(HEADER, "| --- |" + " ---: |" * 7, sep="\n")
    for verb_name, tally in tallies.items():
        print(tally.row(verb_name))
    print(f"\n{time.monotonic() - begun:.0f} s")
    for tally in tallies.values():
        for wrong in tally.wrong:
            print(f"wrong: {wrong}", file=sys.stderr)
    if said:
        print(said, file=sys.stderr)
    sys.exit(1 if any(tally.wrong for tally in tallies.values()) else 0)


if __name__ == "__main__":
    main()
