"""A file is written whole or not at all."""

import os
from pathlib import Path

import pytest

from bbmr.atomic import OutputError, replacing


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
