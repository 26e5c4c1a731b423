"""What can be chosen when a picture is compressed with loss.  Light to import, as `bbmr.options`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Literal

from bbmr.blocks import SCALES
from bbmr.errors import BbmrError
from bbmr.options import CODED_CHOICES, CODED_PIPELINE, TUNES, check_weights_name, is_a

CODED_SIDES = CODED_CHOICES[CODED_PIPELINE].blocks  # and of the others
DEFAULT_QUALITY = 60
SPEEDS = range(11)
DEFAULT_SPEED = 4
"""At 6 files of equal PSNR-Y are 10 % larger, at 3 they are 2 % smaller and take twice the time."""
ENCODER_TUNES: Mapping[str, Literal["psnr", "ssim"]] = {"visual": "ssim", "psnr": "psnr"}
"""What libaom is tuned for, by what is minimised."""
CHROMAS = ("4:2:0", "4:4:4")
TARGETS = ("quality", "target_size", "target_bpp", "target_psnr")
_MOST = 1000
"""Bits per pixel, and decibels, that can be asked for: far beyond what there is."""
_UNITS = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "kib": 1024, "mib": 1024**2}


@dataclass(frozen=True)
class CodedOptions:
    """How a picture is compressed with loss; exactly one of the first four is given.

    quality: from 0, small, to 100, excellent.  target_size: bytes of the file, at most, and 3 % less at least;
    target_bpp: the same in bits per pixel of the picture.  target_psnr: PSNR-Y in dB, at least.
    block: pixels per side of a block.  scales: the factors that a block may have.  tune: what is minimised, `visual` or
    `psnr`.  chroma: whether colours are stored at half the resolution (4:2:0) or at the whole one (4:4:4).  pipeline:
    one of CODED_CHOICES, whose network restores.  weights: others for it, by name.  speed: of the encoder, from 0,
    small files after a long time, to 10; they are restored in the same time.
    Raises BbmrError, naming the option and the choices, for values that do not work.
    """

    quality: int | None = None
    target_size: int | None = None
    target_bpp: float | None = None
    target_psnr: float | None = None
    block: int = CODED_SIDES[0]
    scales: tuple[int, ...] = SCALES
    tune: str = "visual"
    chroma: Literal["4:2:0", "4:4:4"] = "4:2:0"
    pipeline: str = CODED_PIPELINE
    weights: str = ""
    speed: int = DEFAULT_SPEED

    def __post_init__(self) -> None:
        given = [name for name in TARGETS if getattr(self, name) is not None]
        if len(given) != 1:
            found = f"{' and '.join(given)} were given" if given else "none was given"
            raise BbmrError(f"give exactly one of {', '.join(TARGETS)}; {found}")
        if self.quality is not None and (not is_a(int, self.quality) or not 0 <= self.quality <= 100):
            raise BbmrError(f"quality {self.quality!r} is not possible; choose a whole number from 0 to 100")
        if self.target_size is not None and (not is_a(int, self.target_size) or self.target_size <= 0):
            raise BbmrError(f"target_size {self.target_size!r} is not possible; give whole bytes, 1 or more")
        for name in TARGETS[2:]:
            value = getattr(self, name)
            if value is not None and (not is_a(Real, value) or not 0 < value <= _MOST):
                raise BbmrError(f"{name} {value!r} is not possible; give a number above 0, {_MOST} at most")
        for name, choices in (
            ("block", CODED_SIDES),
            ("tune", TUNES),
            ("chroma", CHROMAS),
            ("pipeline", tuple(CODED_CHOICES)),
        ):
            value = getattr(self, name)
            if value not in choices or not is_a(type(choices[0]), value):
                listed = ", ".join(map(str, choices))
                raise BbmrError(f"{name} {value!r} is not possible; choose one of {listed}")
        check_weights_name(self.weights, self.pipeline, CODED_CHOICES[self.pipeline].networks)
        if not is_a(int, self.speed) or self.speed not in SPEEDS:
            raise BbmrError(f"speed {self.speed!r} is not possible; choose one from {SPEEDS[0]} to {SPEEDS[-1]}")
        scales = self.scales if isinstance(self.scales, tuple) else ()
        if not scales or any(not is_a(int, k) or k not in SCALES or scales.count(k) > 1 for k in scales):
            listed = ", ".join(map(str, SCALES))
            raise BbmrError(f"scales {self.scales!r} are not possible; choose different ones out of {listed}")


def parse_size(text: str) -> int:
    """Bytes, from text such as 100kB, 1.5MB, 64KiB or 20000.  Raises BbmrError."""
    match = re.fullmatch(r"\s*(\d{1,12}(?:\.\d{1,6})?)\s*([a-z]*)\s*", text.lower())
    if not match or match[2] not in _UNITS or not (size := round(float(match[1]) * _UNITS[match[2]])):
        raise BbmrError(f"the size {text!r} is not one: give bytes such as 20000, 100kB, 1.5MB or 64KiB")
    return size
