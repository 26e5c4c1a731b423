"""Codecs to compare with: each codes whole pictures at a setting, and gives bytes and the picture that they hold."""

import math
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import imagecodecs
import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

Samples = NDArray[np.uint8]
"""(H, W, 3) RGB."""


class Rival(ABC):
    """name: in tables.  version: of what decides its files; what another one made is measured again.  settings: from
    small files to large ones, such that photographs take some 0.02 to 1 bpp.
    """

    name: str
    version: str
    settings: Sequence[float]

    @abstractmethod
    def encode(self, colour: Samples, setting: float) -> bytes:
        """A whole file.  setting: the codec's quality, 0 to 100; of JPEG XL a distance, 0 to 25."""

    @abstractmethod
    def decode(self, data: bytes) -> Samples:
        """What such a file holds, in the size of the picture."""


class _Pillow(Rival):
    version = f"Pillow {PIL.__version__}"

    def decode(self, data: bytes) -> Samples:
        with Image.open(BytesIO(data)) as image:
            return np.array(image.convert("RGB"))

    def _save(self, colour: Samples, form: str, **options: object) -> bytes:
        file = BytesIO()
        Image.fromarray(colour).save(file, form, **options)
        return file.getvalue()


class Jpeg(_Pillow):
    """Progressive, with Huffman tables of its own, 4:2:0."""

    name = "JPEG"
    settings = (4, 8, 15, 25, 40, 60, 78, 86)

    def encode(self, colour: Samples, setting: float) -> bytes:
        return self._save(colour, "JPEG", quality=int(setting), optimize=True, progressive=True, subsampling="4:2:0")


class WebP(_Pillow):
    """At its most thorough."""

    name = "WebP"
    settings = (0, 5, 15, 30, 50, 72, 85, 92)

    def encode(self, colour: Samples, setting: float) -> bytes:
        return self._save(colour, "WEBP", quality=int(setting), method=6)


class Avif(_Pillow):
    """libaom at speed 4, 4:2:0, in one tile: Pillow would take several, which make a 2K photograph 2 % larger."""

    version = f"{_Pillow.version}, one tile"
    settings = (1, 6, 12, 20, 30, 42, 55, 66, 76, 84)

    def __init__(self, tune: str, cdef: bool = False) -> None:
        """cdef: with the directional filter, which libaom leaves out of still pictures unless asked for it."""
        self.name = f"AVIF, {tune}, CDEF" if cdef else f"AVIF, {tune}"
        self._advanced = {"tune": tune} | ({"enable-cdef": "1"} if cdef else {})

    def encode(self, colour: Samples, setting: float) -> bytes:
        options = {"quality": int(setting), "subsampling": "4:2:0", "speed": 4, "max_threads": 1, "autotiling": False}
        return self._save(colour, "AVIF", **options, advanced=self._advanced)


class JpegXL(Rival):
    """libjxl at effort 7; settings are distances.  From some distance on it codes pictures of half the size."""

    name = "JPEG XL"
    version = f"imagecodecs {imagecodecs.__version__}"
    settings = (25, 18, 12, 8, 5.5, 3.8, 2.4, 1.5, 1)

    def encode(self, colour: Samples, setting: float) -> bytes:
        return bytes(imagecodecs.jpegxl_encode(colour, distance=setting, effort=7, numthreads=1))

    def decode(self, data: bytes) -> Samples:
        samples: Samples = imagecodecs.jpegxl_decode(data)
        return samples


class JpegXLAtFullSize(JpegXL):
    """The same without its own resampling, which only the command line cjxl turns off."""

    name = "JPEG XL, full size"

    def __init__(self) -> None:
        said = subprocess.run(["cjxl", "--version"], check=True, capture_output=True, text=True)
        self.version = said.stdout.splitlines()[0]

    @staticmethod
    def is_there() -> bool:
        return shutil.which("cjxl") is not None

    def encode(self, colour: Samples, setting: float) -> bytes:
        with TemporaryDirectory() as folder:
            picture, coded = Path(folder, "picture.png"), Path(folder, "coded.jxl")
            Image.fromarray(colour).save(picture, compress_level=1)
            options = ["--resampling=1", "-e", "7", "--num_threads=0", "-d", str(setting)]
            subprocess.run(["cjxl", str(picture), str(coded), *options], check=True, capture_output=True)
            return coded.read_bytes()


def nearest_in_size(
    codec: Rival, colour: Samples, size: int, report: Callable[[float], None] = lambda part: None
) -> tuple[int, bytes]:
    """The quality, of those from 0 to 100, whose file is nearest to `size` bytes by their ratio, and the file.

    codec: one that has qualities.  report: called with the share of the work that is done.
    """
    files: dict[int, bytes] = {}
    low, high = -1, 101  # files grow with the quality: too small, too large
    while high - low > 1:
        quality = (low + high) // 2
        files[quality] = codec.encode(colour, quality)
        low, high = (quality, high) if len(files[quality]) <= size else (low, quality)
        report(len(files) / 7)
    return min(files.items(), key=lambda found: abs(math.log(len(found[1]) / size)))


def rivals() -> list[Rival]:
    """All that can be run here."""
    found: list[Rival] = [Jpeg(), WebP(), Avif("psnr"), Avif("psnr", cdef=True), Avif("ssim"), JpegXL()]
    return [*found, JpegXLAtFullSize()] if JpegXLAtFullSize.is_there() else found
