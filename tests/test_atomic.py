"""A file is written whole or not at all."""

import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbmr.atomic import DiskFullError, OutputError, check_apart, check_free, clear_drafts, replacing


def test_an_interrupt_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")

    def write_half() -> None:
        with replacing(path, overwrite=True) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_new_files_get_the_usual_rights(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.bin") as file:
        file.write(b"new")
    (tmp_path / "b.bin").touch()
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "b.bin").stat().st_mode


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.bin").write_bytes(b"before")
    (tmp_path / "link.bin").symlink_to(tmp_path / "real" / "a.bin")
    with replacing(tmp_path / "link.bin", overwrite=True) as file:
        file.write(b"after")
    assert (tmp_path / "link.bin").is_symlink()
    assert (tmp_path / "real" / "a.bin").read_bytes() == b"after"


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="folder"), replacing(tmp_path):
        pass
    with pytest.raises(OutputError, match=r"a\.bin: cannot be written"), replacing(tmp_path / "a.bin"):
        raise OSError(28, os.strerror(28))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("overwrite", [False, True])
def test_names_that_no_file_can_have_are_refused_before_the_work(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "loop.bin").symlink_to("loop.bin")
    for name, reason in (("a" * 256, "File name too long"), ("loop.bin", "Too many levels of symbolic links")):
        with pytest.raises(OutputError, match=rf"{name}: cannot be written \({reason}\); choose another name"):
            check_free(tmp_path / name, overwrite)
    clear_drafts([tmp_path / ("a" * 256), tmp_path / "loop.bin"])


def test_what_cannot_be_looked_at_is_an_error_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **_: object) -> os.stat_result:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "stat", refuse)
    check_apart(tmp_path / "a.bin", tmp_path / "b.bin")  # which reading and writing say
    with pytest.raises(OutputError, match=r"b\.bin: cannot be written \(Permission denied\); check space and rights"):
        check_free(tmp_path / "b.bin", overwrite=True)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("\N{GRINNING FACE}" * 61 + ".bbmr", id="4 bytes a character"),
        pytest.param("x" * 255, id="1 byte a character"),
    ],
)
def test_names_may_be_as_long_as_the_system_lets_them(tmp_path: Path, name: str) -> None:
    with replacing(tmp_path / name) as file:
        file.write(b"new")
        (draft,) = tmp_path.iterdir()
    assert (tmp_path / name).read_bytes() == b"new"
    draft.touch()  # as a killed process would leave it
    clear_drafts([tmp_path / name])
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_names_of_other_bytes_than_utf_8(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xe9" * 200 + b".bbmr")
    with replacing(path) as file:
        file.write(b"new")
        (draft,) = tmp_path.iterdir()
    draft.touch()
    clear_drafts([path])
    assert list(tmp_path.iterdir()) == [path]


def no_links(*_: object) -> None:
    raise PermissionError(1, os.strerror(1))  # what Linux says of links on FAT


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "a.bin"

    def write() -> None:
        with replacing(path) as file:
            file.write(b"ours")
            path.write_bytes(b"theirs")

    with pytest.raises(OutputError, match=r"a\.bin: exists already"):
        write()
    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_file_systems_without_links_take_new_files_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", no_links)
    with replacing(tmp_path / "a.bin") as file:
        file.write(b"new")
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [tmp_path / "a.bin"]


def test_file_systems_without_links_never_show_an_empty_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    rename = os.rename

    def look(draft: Path, target: Path) -> None:
        seen.append(target.exists())
        rename(draft, target)

    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(os, "rename", look)
    with replacing(tmp_path / "a.bin") as file:
        file.write(b"new")
    assert seen == [False]


@pytest.mark.parametrize("overwrite", [False, True])
def test_bytes_are_on_the_disk_before_they_get_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    path = tmp_path / "a.bin"
    steps: list[str] = []
    sync = os.fsync

    def recorded(descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        is_folder = os.path.samestat(os.fstat(descriptor), tmp_path.stat())
        steps.append(f"{'folder' if is_folder else size}, {'named' if path.exists() else 'no name'}")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    with replacing(path, overwrite) as file:
        file.write(bytes(1000))
    assert steps == ["1000, no name", "folder, named"]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The system writes no file beyond so many bytes: it cuts the write that would, and refuses the next."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@given(size=st.integers(1, 100_000), share=st.floats(0, 1, exclude_max=True), before=st.sampled_from([None, b"before"]))
@settings(max_examples=30)
def test_a_write_that_fails_at_any_byte_leaves_nothing(
    tmp_path_factory: pytest.TempPathFactory, size: int, share: float, before: bytes | None
) -> None:
    path = tmp_path_factory.mktemp("full") / "a.bin"
    if before is not None:
        path.write_bytes(before)

    def write() -> None:
        with largest_file(int(share * size)), replacing(path, overwrite=True) as file:
            file.write(bytes(size))

    with pytest.raises(OutputError, match=r"a\.bin: cannot be written \(File too large\)"):
        write()
    assert [one.read_bytes() for one in path.parent.iterdir()] == ([] if before is None else [before])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_from_other_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def full(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)  # where systems say it that take bytes before they look for space
    with pytest.raises(DiskFullError, match=r"a\.bin: cannot be written .*; make space"), replacing(tmp_path / "a.bin"):
        pass
    assert not list(tmp_path.iterdir())


WRITER = """
import os, signal, sys
from pathlib import Path
from bbmr.atomic import replacing
steps = 0
def step(event, arguments):
    global steps
    at_draft = event in ("open", "os.remove") and str(arguments[0]).endswith(".part")
    if at_draft or event in ("fcntl.flock", "os.link", "os.rename"):
        steps += 1
        if steps == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(step)
with replacing(Path(sys.argv[1]), overwrite=len(sys.argv) > 3) as file:
    file.write(bytes(5000))
    if sys.argv[2] == "0":
        file.flush()
        print("writing", flush=True)
        sys.stdin.read()
print(steps)
"""


def writer(path: Path, killed_at: int, overwrite: bool = False) -> subprocess.CompletedProcess[str]:
    """A process that writes 5000 zeros, and is killed where it is about to do a step that the folder shows."""
    command = [sys.executable, "-c", WRITER, str(path), str(killed_at), *(["overwrite"] if overwrite else [])]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("overwrite", [False, True])
def test_killed_at_whatever_step(tmp_path: Path, overwrite: bool) -> None:
    path = tmp_path / "a.bin"
    contents: list[bytes | None] = [b"before" if overwrite else None]
    steps = 100
    left = 0
    for killed_at in range(1, steps):
        path.unlink(missing_ok=True)
        if overwrite:
            path.write_bytes(b"before")
        done = writer(path, killed_at, overwrite)
        if done.returncode == 0:
            steps = killed_at
            break
        assert done.returncode == -signal.SIGKILL
        contents.append(path.read_bytes() if path.exists() else None)
        left += len(list(tmp_path.glob(".*.part")))
        clear_drafts([path])
        assert set(tmp_path.iterdir()) <= {path}
    assert steps == 5  # opened, locked, named, removed
    assert left == (2 if overwrite else 3)  # renamed, it is no draft any more
    assert set(contents) == {contents[0], bytes(5000)}


def test_drafts_of_living_processes_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    command = [sys.executable, "-c", WRITER, str(path), "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"writing\n"
            (draft,) = tmp_path.iterdir()
            clear_drafts([path])
            assert list(tmp_path.iterdir()) == [draft]
            with replacing(path) as file:  # beside it
                file.write(b"ours")
        finally:
            process.kill()
    assert set(tmp_path.iterdir()) == {draft, path}
    clear_drafts([path])
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"ours"


def test_only_drafts_of_these_files_are_cleared(tmp_path: Path) -> None:
    long = "long " * 40
    (tmp_path / "link.bin").symlink_to(tmp_path / "folder" / "real.bin")
    (tmp_path / "folder").mkdir()
    ours = [".a.bin.0123abcd.part", f".{long[:64]}.0123abcd.part", "folder/.real.bin.0123abcd.part"]
    others = [
        ".b.bin.0123abcd.part",
        "a.bin.0123abcd.part",
        ".a.bin.part",
        ".a.bin.0123abc.part",
        ".a.bin.0123abcg.part",
    ]
    for name in (*ours, *others):
        (tmp_path / name).touch()
    clear_drafts([tmp_path / "a.bin", tmp_path / long, tmp_path / "link.bin", tmp_path / "none" / "a.bin"])
    assert {path.name for path in tmp_path.iterdir()} == {"link.bin", "folder", *others}
    assert not list((tmp_path / "folder").iterdir())


def test_without_locks_files_are_written_and_drafts_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with replacing(tmp_path / "a.bin") as file:
        (draft,) = tmp_path.iterdir()
        clear_drafts([tmp_path / "a.bin"])
        assert draft.exists()
        file.write(b"new")
    assert list(tmp_path.iterdir()) == [tmp_path / "a.bin"]
    draft.touch()
    clear_drafts([tmp_path / "a.bin"])
    assert draft.exists()


def test_a_draft_that_is_cleared_before_it_is_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.bin"
    lock = fcntl.flock
    cleared: list[Path] = []

    def meanwhile(file: int, how: int) -> None:
        if not cleared:
            cleared.extend(tmp_path.iterdir())
            clear_drafts([path])
            assert not list(tmp_path.iterdir())
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", meanwhile)
    with replacing(path) as file:
        file.write(b"new")
        (draft,) = tmp_path.iterdir()
        assert draft not in cleared
    assert len(cleared) == 1
    assert path.read_bytes() == b"new"
