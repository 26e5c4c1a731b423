"""Files made out of files, however many: on all cores, and going on where a run before was stopped."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from bbmr.atomic import OutputError, clear_drafts, is_same
from bbmr.cli.batch import run_batch
from bbmr.cli.capacity import default_jobs
from bbmr.cli.console import Reporter, UsageError
from bbmr.cli.files import Job, Sources
from bbmr.cli.outcome import Failed, Kept, Outcome, Record
from bbmr.errors import BbmrError
from bbmr.progress import Progress


@dataclass(frozen=True)
class Making(ABC):
    """How a verb makes the target of each job; other processes are sent it.

    device: where networks run.  overwrite: whether targets that are there are replaced.
    """

    device: str
    overwrite: bool

    @abstractmethod
    def __call__(self, job: Job, progress: Progress) -> tuple[Record, str]:
        """The record for --json, and a line for people."""

    @abstractmethod
    def check_made(self, job: Job) -> None:
        """Raise BbmrError for a target that is there already but is not whole, or not what the job makes."""


def run_jobs(
    sources: Sources,
    jobs: Sequence[Job],
    making: Making,
    report: Reporter,
    debug: bool,
    at_a_time: int | None,
    resume: bool,
) -> None:
    """Do all jobs; what it prints and raises is as in `run_batch`.

    at_a_time: how many; None: as many as suit machine and device.  resume: targets that are there already, and whole,
    are kept, unless they are of something else than their sources, as far as sizes and times tell.  Drafts that killed
    runs left of the targets are cleared.  Raises UsageError for `resume` beside `making.overwrite`.
    """
    if resume and making.overwrite:
        raise UsageError("--resume keeps what is there already, and --overwrite replaces it; leave one out")
    targets = [job.target for job in jobs]
    clear_drafts(targets)
    known: dict[int, Outcome] = {}
    with report.progress("look at what is there already") as progress:
        for index, job in enumerate(jobs):
            progress(job.target.name, index / len(jobs))
            if outcome := _known(job, making, resume):
                known[index] = outcome
    left = len(jobs) - len(known)
    at_a_time = min(at_a_time or default_jobs(left, making.device), left)
    try:
        run_batch(sources, [(job.source, job) for job in jobs], making, report, debug, known, at_a_time, resumable=True)
    finally:
        clear_drafts(targets)  # of workers that died, or were ended in the midst of it


def _known(job: Job, making: Making, resume: bool) -> Outcome | None:
    """What is to be said of a job before any work, if anything."""
    if is_same(job.source, job.target):
        return None  # the work refuses it, unless there is more to say: that the source is none of its kind
    try:
        job.check(overwrite=True)
        if making.overwrite or not job.target.exists():
            return None
        if not resume:
            raise OutputError(
                f"{job.target}: exists already; choose another name (--out), replace it (--overwrite), or go on with a "
                "run that was stopped (--resume)"
            )
        try:
            making.check_made(job)
        except BbmrError as error:
            reason = str(error).removeprefix(f"{job.target}: ")
            raise OutputError(f"{job.target}: is there already, but: {reason}; remove it first") from error
        if job.source.stat().st_mtime > job.target.stat().st_mtime:
            raise OutputError(
                f"{job.target}: is there already, but older than {job.source}; remove it, or replace it (--overwrite)"
            )
        size = job.target.stat().st_size
    except BbmrError as error:
        return Failed(str(error), str(error))
    except OSError as error:
        reason = f"{job.target}: cannot be looked at ({error.strerror})"
        return Failed(reason, reason)
    return Kept({"input": str(job.source), "output": str(job.target), "bytes": size, "kept": True})
