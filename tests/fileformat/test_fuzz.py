"""The fuzzer for a short while; `PYTHONPATH=tests python -m fileformat.fuzz` goes on for long."""

import fuzzing
from fileformat import fuzz

from bbmr.fileformat import decode


def test_mutated_files_are_refused_or_whole() -> None:
    found = fuzzing.run(fuzz.Files.golden(), 1000, jobs=2)
    assert not found.bad
    assert sum(found.outcomes.values()) == 1000
    assert min(found.outcomes[f"refused, {how}"] for how in ("mended", "as it was")) > 200


def test_mending_leaves_whole_files_as_they_are() -> None:
    for path in fuzz.GOLDEN.glob("*.bbmr"):
        data = path.read_bytes()
        assert fuzz.is_whole(data)
        assert fuzz.mend(data) == data
        assert not fuzz.is_whole(data[:-1])
        assert not fuzz.is_whole(data[:-1] + bytes([data[-1] ^ 1]))


class Credulous(fuzz.Files):
    def read(self, data: bytes) -> None:
        """Whatever it is."""


class Broken(fuzz.Files):
    def read(self, data: bytes) -> None:
        raise KeyError(data[0])


def test_the_fuzzer_sees_what_is_bad() -> None:
    seed = (fuzz.GOLDEN / "version-2-rgb.bbmr").read_bytes()
    assert "read, though it is not whole" in fuzzing.examine(range(40), Credulous((seed,))).bad.values()
    assert len(fuzzing.examine(range(5), Broken((seed,))).bad) == 5
    assert decode(seed).grid.height == 35
