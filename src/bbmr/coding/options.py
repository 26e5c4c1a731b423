"""What can be chosen when a picture is compressed with loss.  Light to import, as `bbmr.options`."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from bbmr.blocks import SCALES
from bbmr.errors import BbmrError
from bbmr.options import CODED_CHOICES, CODED_PIPELINE, TUNES

CODED_SIDES = CODED_CHOICES[CODED_PIPELINE].blocks  # and of the others
DEFAULT_QUALITY = 60
CHROMAS = ("4:2:0", "4:4:4")
TARGETS = ("quality", "target_size", "target_bpp", "target_psnr")
_UNITS = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "kib": 1024, "mib": 1024**2}


@dataclass(frozen=True)
class CodedOptions:
    """How a picture is compressed with loss; exactly one of the first four is given.

    quality: from 0, small, to 100, excellent.  target_size: bytes of the file, at most, and 3 % less at least;
    target_bpp: the same in bits per pixel of the picture.  target_psnr: PSNR-Y in dB, at least.
    block: pixels per side of a block.  scales: the factors that a block may have.  tune: what is minimised, `visual` or
    `psnr`.  chroma: whether colours are stored at half the resolution (4:2:0) or at the whole one (4:4:4).  pipeline:
    one of CODED_CHOICES, whose network restores.  weights: others for it, by name.
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

    def __post_init__(self) -> None:
        given = [name for name in TARGETS if getattr(self, name) is not None]
        if len(given) != 1:
            found = f"{' and '.join(given)} were given" if given else "none was given"
            raise BbmrError(f"give exactly one of {', '.join(TARGETS)}; {found}")
        if self.quality is not None and (not isinstance(self.quality, int) or not 0 <= self.quality <= 100):
            raise BbmrError(f"quality {self.quality!r} is not possible; choose a whole number from 0 to 100")
        for name in TARGETS[1:]:
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise BbmrError(f"{name} {value!r} is not possible; give a number above 0")
        for name, choices in (
            ("block", CODED_SIDES),
            ("tune", TUNES),
            ("chroma", CHROMAS),
            ("pipeline", tuple(CODED_CHOICES)),
        ):
            if getattr(self, name) not in choices:
                listed = ", ".join(map(str, choices))
                raise BbmrError(f"{name} {getattr(self, name)!r} is not possible; choose one of {listed}")
        distinct = set(self.scales) if isinstance(self.scales, tuple) else set()
        if not distinct or len(distinct) < len(self.scales) or not distinct <= set(SCALES):
            listed = ", ".join(map(str, SCALES))
            raise BbmrError(f"scales {self.scales!r} are not possible; choose different ones out of {listed}")


def parse_size(text: str) -> int:
    """Bytes, from text such as 100kB, 1.5MB, 64KiB or 20000.  Raises BbmrError."""
    match = re.fullmatch(r"\s*(\d{1,12}(?:\.\d{1,6})?)\s*([a-z]*)\s*", text.lower())
    if not match or match[2] not in _UNITS or not (size := round(float(match[1]) * _UNITS[match[2]])):
        raise BbmrError(f"the size {text!r} is not one: give bytes such as 20000, 100kB, 1.5MB or 64KiB")
    return size
