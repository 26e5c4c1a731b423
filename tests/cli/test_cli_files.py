"""From arguments to files read and written."""

import errno
import os
import warnings
from pathlib import Path

import pytest

from bbmr.cli.console import UsageError
from bbmr.cli.files import find_sources, plan, plan_beside


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a.png", "b.JPG", "notes.txt", ".hidden.png", "deep/c.png", "deep/er/d.png", "[odd].png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(arguments: list[str]) -> list[str]:
    return [str(source.relative) for source in find_sources(arguments, (".png", ".jpg")).files]


def test_folders_are_searched_to_the_bottom(folder: Path) -> None:
    assert names(["in"]) == ["[odd].png", "a.png", "b.JPG", "deep/c.png", "deep/er/d.png"]


def test_patterns_keep_what_lies_below_their_fixed_part(folder: Path) -> None:
    assert names(["in/*.png"]) == ["[odd].png", "a.png"]
    assert names(["in/**/*.png"]) == ["[odd].png", "a.png", "deep/c.png", "deep/er/d.png"]
    assert names([f"{folder}/in/d*/c.png"]) == ["deep/c.png"]


def test_a_name_that_looks_like_a_pattern_is_a_name_first(folder: Path) -> None:
    assert names(["in/[odd].png"]) == ["[odd].png"]


def test_a_file_named_twice_counts_once(folder: Path) -> None:
    assert names(["in/a.png", "in/*.png", "in/deep/../a.png"]) == ["a.png", "[odd].png"]


def test_what_names_nothing_is_a_problem_of_its_own(folder: Path) -> None:
    (folder / "empty").mkdir()
    sources = find_sources(["in/*.webp", "empty", "none.png"], (".png",))
    assert [problem.split(":")[0] for problem in sources.problems] == ["in/*.webp", "empty"]
    assert [source.path for source in sources.files] == [Path("none.png")]
    assert sources.problems[1] == "empty: no .png file in this folder"
    assert find_sources(["empty"], (".png", ".jpg")).problems == ("empty: no picture of a known kind in this folder",)


def test_folders_that_cannot_be_read_are_problems_and_the_rest_is_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def guarded(path: str) -> "os._ScandirIterator[str]":
        if Path(path).name == "er":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", guarded)
    sources = find_sources(["in"], (".png",))
    assert [str(source.path) for source in sources.files] == ["in/[odd].png", "in/a.png", "in/deep/c.png"]
    said = "in/deep/er: this folder cannot be read (Permission denied); what is in it is left out"
    assert sources.problems == (said,)
    assert find_sources(["in/deep/er"], (".png",)).problems == (said,)


def test_links_to_folders_are_named_and_not_followed(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "e.png").touch()
    (folder / "in" / "deep" / "linked").symlink_to(folder / "elsewhere")
    (folder / "in" / "round").symlink_to(folder / "in")
    with pytest.warns(UserWarning, match="a link to a folder, which is not followed") as said:
        assert names(["in"]) == ["[odd].png", "a.png", "b.JPG", "deep/c.png", "deep/er/d.png"]
    links = [str(one.message).split(":")[0] for one in said if "a link" in str(one.message)]
    assert sorted(links) == ["in/deep/linked", "in/round"]
    assert names(["in/deep/linked"]) == ["e.png"]  # named itself


@pytest.mark.parametrize(
    ("arguments", "out", "expected"),
    [
        (["in/a.png"], None, ["in/a.bbmr"]),
        (["in/a.png"], "x.bbmr", ["x.bbmr"]),
        (["in/a.png"], "new/", ["new/a.bbmr"]),
        (["in/a.png"], "in", ["in/a.bbmr"]),
        (["in/a.png", "in/b.JPG"], "new", ["new/a.bbmr", "new/b.bbmr"]),
        (["in/deep"], "new", ["new/c.bbmr", "new/er/d.bbmr"]),
        (["in/deep"], None, ["in/deep/c.bbmr", "in/deep/er/d.bbmr"]),
        (["in/deep/*.png"], "new", ["new/c.bbmr"]),
    ],
)
def test_where_results_go(folder: Path, arguments: list[str], out: str | None, expected: list[str]) -> None:
    jobs = plan(find_sources(arguments, (".png", ".jpg")), out, ".bbmr")
    assert [str(job.target) for job in jobs] == expected


@pytest.mark.parametrize(
    ("arguments", "out", "expected"),
    [
        (["in/a.jpg", "in/a.png", "in/b.JPG"], "new", ["new/a.jpg.bbmr", "new/a.png.bbmr", "new/b.bbmr"]),
        (["in/a.png", "in/a.jpg"], None, ["in/a.png.bbmr", "in/a.jpg.bbmr"]),
        (["in/a.png", "in/deep/c.png"], None, ["in/a.bbmr", "in/deep/c.bbmr"]),
    ],
)
def test_pairs_of_one_name_keep_their_suffixes(
    folder: Path, arguments: list[str], out: str | None, expected: list[str]
) -> None:
    (folder / "in" / "a.jpg").touch()
    jobs = plan(find_sources(arguments, ()), out, ".bbmr")
    assert [str(job.target) for job in jobs] == expected


def test_two_sources_of_one_result_are_refused(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "a.png").touch()
    with pytest.raises(UsageError, match=r"in/a\.png and other/a\.png would both become new/a\.png\.bbmr"):
        plan(find_sources(["in", "other"], (".png",)), "new", ".bbmr")


def test_empty_names_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="name of an input is empty"):
        find_sources([""], (".png",))
    with pytest.raises(UsageError, match="name of the output is empty"):
        plan(find_sources(["in/a.png"], (".png",)), "", ".bbmr")
    with pytest.raises(UsageError, match="name of the output is empty"):
        plan_beside("in/a.png", "", ".map.png")


def test_several_results_need_a_folder(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"notes\.txt: several results need a folder"):
        plan(find_sources(["in/deep"], (".png",)), "in/notes.txt", ".bbmr")


def test_what_is_left_out_of_a_folder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.tga", "c/d.TGA", "notes.txt", "plain", "a.bbmr", ".hidden.tga"):
        Path("in", name).parent.mkdir(parents=True, exist_ok=True)
        Path("in", name).touch()
    with pytest.warns(
        UserWarning, match=r"^in: left out, of no kind that is read: \.tga 2, \.txt 1, without a suffix 1$"
    ):
        assert names(["in"]) == ["a.png"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [source.path.name for source in find_sources(["in"], (".bbmr",)).files] == ["a.bbmr"]


def test_a_file_goes_before_links_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("in/z.png").touch()
    Path("in/a.png").symlink_to("z.png")
    with pytest.warns(UserWarning, match=r"^in/a\.png: a link to what in/z\.png is too; it counts once$"):
        assert names(["in"]) == ["z.png"]
    with pytest.warns(UserWarning, match="counts once"):
        assert names(["in/z.png", "in/a.png"]) == ["z.png"]
    assert names(["in/a.png"]) == ["a.png"]
