"""Parts of files from outside: regions, previews, and checks."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli.test_cli_verbs import bbmr, paint
from fileformat import fuzz
from PIL import Image

import bbmr as library
from bbmr.picture import Metadata


@pytest.fixture(name="packed")
def _packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    bbmr("compress", paint(Path("photo.png"), dpi=(300, 300)), "--lossless-lr", "-q")
    return Path("photo.bbmr")


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image).astype(int)


def test_a_region_is_a_part_of_the_picture(packed: Path) -> None:
    bbmr("restore", packed, "-o", "whole.png")
    out, _ = bbmr("restore", packed, "-o", "part.png", "--region", "10,5,30,20")
    assert "part.png: 30 x 20" in out
    assert np.abs(pixels("part.png") - pixels("whole.png")[5:25, 10:40]).max() <= 1
    by_library = library.restore(library.load(packed), region=(10, 5, 30, 20))
    np.testing.assert_array_equal(by_library.to_array(), pixels("part.png"))


def test_a_preview_is_small(packed: Path) -> None:
    bbmr("restore", packed, "-o", "small.png", "--preview", "4")
    assert pixels("small.png").shape == (10, 13, 3)
    mean = pixels("photo.png").reshape(10, 4, 13, 4, 3).mean((1, 3))
    assert np.abs(pixels("small.png") - mean).mean() < 6


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--region", "10,5,30"), 2, "--region 10,5,30: give left, top, width and height"),
        (("--region", "a,b,c,d"), 2, "--region a,b,c,d: give left"),
        (("--region", "0,0,53,1"), 1, "photo.bbmr: columns 0 to 53 and rows 0 to 1 are no region"),
        (("--region", "0,0,0,0"), 1, "no region of a picture of 52 x 40 pixels"),
        (("--preview", "3"), 2, "--preview 3: a preview is 2, 4, 8, 16 times smaller"),
        (("--preview", "2", "--region", "0,0,1,1"), 2, "--region has no place beside --preview"),
    ],
)
def test_what_cannot_be_given_is_said(packed: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    _, err = bbmr("restore", packed, "-o", "a.png", *arguments, code=code)
    assert words in " ".join(err.split())
    assert not Path("a.png").exists()


def test_check_names_what_is_damaged(packed: Path) -> None:
    out, _ = bbmr("check", packed)
    assert f"photo.bbmr: whole, {packed.stat().st_size} B" in out
    data = bytearray(packed.read_bytes())
    data[-5] ^= 1
    Path("folder").mkdir()
    Path("folder/bad.bbmr").write_bytes(data)
    Path("folder/good.bbmr").write_bytes(packed.read_bytes())
    out, err = bbmr("check", "folder", "--json", code=1)
    bad, good = sorted(json.loads(out), key=lambda record: bool(record["whole"]))
    assert (bad["input"], bad["whole"]) == (str(Path("folder/bad.bbmr")), False)
    assert good == {"input": str(Path("folder/good.bbmr")), "bytes": packed.stat().st_size, "whole": True}
    assert "checksum" in bad["error"]
    assert "bad.bbmr: damaged" in " ".join(err.split())


@pytest.mark.parametrize("part", [(), ("--preview", "2"), ("--region", "0,0,20,30")])
def test_pictures_with_damaged_metadata_are_salvaged(packed: Path, part: tuple[str, ...]) -> None:
    rescaled = replace(library.load(packed), metadata=Metadata(exif=b"Exif\0\0" + bytes(range(256))))
    library.save(rescaled, packed, overwrite=True)
    bbmr("restore", packed, "-o", "whole.png", *part)
    data = bytearray(packed.read_bytes())
    data[-5] ^= 1  # EXIF data come last
    packed.write_bytes(data)
    _, err = bbmr("restore", packed, "-o", "salvaged.png", *part, code=1)
    assert "checksum of the EXIF" in " ".join(err.split())
    _, err = bbmr("restore", packed, "-o", "salvaged.png", "--salvage", *part)
    assert "its EXIF is damaged, and left out" in " ".join(err.split())
    assert np.array_equal(pixels("whole.png"), pixels("salvaged.png"))
    with Image.open("salvaged.png") as salvaged:
        assert not salvaged.getexif()
    data[-500] ^= 1  # LR samples
    packed.write_bytes(data)
    bbmr("restore", packed, "-o", "damaged.png", "--salvage", *part, code=1)
    assert not Path("damaged.png").exists()


def test_samples_are_decoded_where_asked_for(packed: Path) -> None:
    data = bytearray(packed.read_bytes())
    at = data.index(b"\xff\x0a", 32) + 2  # the head of a JPEG XL stream
    data[at : at + 8] = bytes(8)
    packed.write_bytes(fuzz.mend(bytes(data)))
    bbmr("check", packed)
    _, err = bbmr("check", packed, "--thorough", code=1)
    assert "photo.bbmr: broken LR samples" in " ".join(err.split())
    with pytest.raises(library.BbmrError, match="broken LR samples"):
        library.check(packed, thorough=True)


def test_weights_that_are_others_are_named(packed: Path) -> None:
    bbmr("check", packed, "--thorough")
    stored = library.load(packed)
    other = replace(stored.recipe, weights_digest="0" * 16)
    library.save(replace(stored, recipe=other), "other.bbmr")
    _, err = bbmr("check", "other.bbmr", "--thorough")
    assert "compressed for other weights" in " ".join(err.split())
    library.save(replace(stored, recipe=replace(other, weights="gone")), "gone.bbmr")
    _, err = bbmr("check", "gone.bbmr", "--thorough", code=1)
    assert "gone" in err
