"""HEIC, by pillow-heif, which the extra `heic` brings."""

from pathlib import Path
from typing import BinaryIO

import numpy as np

from bbmr.depth import Samples
from bbmr.errors import BbmrError
from bbmr.extras import from_extra
from bbmr.imageio.colour_spaces import coded_profile
from bbmr.imageio.errors import PictureError
from bbmr.imageio.exif import with_orientation
from bbmr.imageio.metadata import EXIF_PREFIX, bounded
from bbmr.imageio.source import Source, bits_remark, check_pixels, full_range, in_memory


def open_heic(path: Path, file: BinaryIO, max_pixels: int) -> Source:
    """Raises PictureError for what cannot be read, or where pillow-heif is missing; nearly anything for what is
    damaged.
    """
    try:
        with from_extra("heic"):
            import pillow_heif  # noqa: PLC0415 - of an extra, and slow
    except BbmrError as error:
        raise PictureError(f"is a HEIC picture; {error}") from error
    opened = pillow_heif.open_heif(path, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    width, height = opened.size
    check_pixels(width, height, max_pixels)
    if len(opened) > 1:
        raise PictureError(f"holds {len(opened)} frames or pages; save the one you want as a picture of its own")
    mode = opened.mode.partition(";")[0]
    bits = opened.info["bit_depth"]
    if mode not in ("L", "LA", "RGB", "RGBA"):
        raise PictureError(f"pictures of mode {opened.mode} are not handled; save it as PNG or TIFF first")
    icc, remarks = opened.info.get("icc_profile"), bits_remark(bits)
    nclx = opened.info.get("nclx_profile")
    if icc is None and nclx:
        icc, more = coded_profile(nclx["color_primaries"], nclx["transfer_characteristics"])
        remarks += more
    left_out = {"depths": "depth_images", "maps beside the picture (of gain, mattes)": "aux"}
    remarks += tuple(f"its {words} are not kept" for words, key in left_out.items() if opened.info.get(key))
    # The container's own turns have been made by the decoder; what EXIF says repeats them.
    exif = with_orientation((opened.info.get("exif") or b"").removeprefix(EXIF_PREFIX) or None, 1)

    def decode() -> Samples:
        samples = np.asarray(pillow_heif.open_heif(path, convert_hdr_to_8bit=False, hdr_to_16bit=False))
        return full_range(samples[:height, :width], (1 << bits) - 1)

    metadata = bounded(icc, exif, opened.info.get("xmp"))
    return Source(height, width, mode, 8 if bits <= 8 else 16, metadata, in_memory(decode), remarks)
