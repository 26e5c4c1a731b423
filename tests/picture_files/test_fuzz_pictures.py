"""The fuzzer for a short while; `PYTHONPATH=tests python -m picture_files.fuzz_pictures` goes on for long."""

from pathlib import Path

import fuzzing
import pytest
from picture_files import fuzz_pictures
from picture_files.kinds import picture

from bbmr.imageio import write_picture
from bbmr.picture import Picture


def test_mutated_pictures_are_read_or_refused(capfd: pytest.CaptureFixture[str]) -> None:
    found = fuzzing.run(fuzz_pictures.Pictures.of_all_kinds(), 2000, jobs=2)
    assert not found.bad
    assert "Traceback" not in capfd.readouterr().err
    for suffix in ("avif", "heic", "jpg", "jp2", "jxl", "png, mended", "tif", "webp"):
        assert min(found.outcomes[f"{outcome}, .{suffix}"] for outcome in ("read", "refused")) > 0


def test_mending_leaves_whole_pictures_as_they_are(tmp_path: Path) -> None:
    write_picture(Picture.from_array(picture("RGB")), tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    assert fuzz_pictures.mended(whole) == whole
    damaged = whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]
    assert len(fuzz_pictures.mended(damaged)) == len(whole)
    assert fuzz_pictures.mended(damaged) != damaged
