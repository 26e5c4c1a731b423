"""The fuzzer for a short while; `python tests/fileformat/fuzz.py` goes on for long."""

import pytest
from fileformat import fuzz

from bbmr.fileformat import decode


def test_mutated_files_are_refused_or_whole() -> None:
    found = fuzz.run(1000, jobs=2)
    assert not found.bad
    assert sum(found.outcomes.values()) == 1000
    assert min(found.outcomes[f"refused, {how}"] for how in ("mended", "as it was")) > 200


def test_mending_leaves_whole_files_as_they_are() -> None:
    for path in fuzz.GOLDEN.glob("version-2*.bbmr"):
        data = path.read_bytes()
        assert fuzz.is_whole(data)
        assert fuzz.mend(data) == data
        assert not fuzz.is_whole(data[:-1])
        assert not fuzz.is_whole(data[:-1] + bytes([data[-1] ^ 1]))


def test_the_fuzzer_sees_what_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [(fuzz.GOLDEN / "version-2-rgb.bbmr").read_bytes()]
    monkeypatch.setattr(fuzz, "_read", lambda data: None)
    assert "read, though it is not whole" in fuzz.examine(range(40), files).bad.values()

    def broken(data: bytes) -> None:
        raise KeyError(data[0])

    monkeypatch.setattr(fuzz, "_read", broken)
    assert len(fuzz.examine(range(5), files).bad) == 5
    assert decode(files[0]).grid.height == 35
