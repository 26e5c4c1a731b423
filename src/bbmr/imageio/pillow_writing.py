"""WebP and AVIF, whole pictures, by Pillow."""

from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from bbmr.depth import Samples
from bbmr.imageio.metadata import EXIF_PREFIX
from bbmr.picture import Metadata


def save(file: BinaryIO, samples: Samples, mode: str, metadata: Metadata, name: str, quality: int) -> None:
    """samples: (H, W, C) of 8 bits.  mode: RGB or RGBA; gray samples become it.  name: Pillow's of the format."""
    options: dict[str, Any] = {"icc_profile": metadata.icc} if metadata.icc is not None else {}
    if metadata.exif is not None:
        options["exif"] = EXIF_PREFIX + metadata.exif
    if metadata.xmp is not None:
        options["xmp"] = metadata.xmp
    if name == "WEBP":
        options |= {"lossless": True, "exact": True}  # exact: keep the colours under full transparency
    else:
        options |= {"quality": quality, "subsampling": "4:4:4"}
    picture = Image.fromarray(np.ascontiguousarray(samples).squeeze(2) if samples.shape[2] == 1 else samples)
    picture.convert(mode).save(file, name, **options)
