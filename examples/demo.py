"""Compress and restore the photograph beside this file; `make demo` runs it.

Leaves in build/demo: the .bbmr file, the restored picture, and the scale map drawn over the photograph.
"""

import time
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

import bbmr
from bbmr.evaluation.comparison import enlarge_bicubic
from bbmr.evaluation.metrics import ms_ssim_y, psnr_rgb, psnr_y, ssim_y
from bbmr.evaluation.pictures import draw_map, scale_plane
from bbmr.imageio import read_picture, write_picture
from bbmr.options import PLAIN_PIPELINE

PHOTO = Path(__file__).with_name("giraffe.jpg")
METRICS = ((psnr_y, 2), (psnr_rgb, 2), (ssim_y, 4), (ms_ssim_y, 4))  # and the digits of each
COLUMNS = ("LR pixels", "bytes", "bpp", "PSNR-Y", "PSNR-RGB", "SSIM", "MS-SSIM", "seconds")
OUT = Path(__file__).parents[1] / "build" / "demo"


def main() -> None:
    """Compress and restore in several ways, and print what each costs and gives; seconds to compress + to restore."""
    console = Console()
    OUT.mkdir(parents=True, exist_ok=True)
    photo = read_picture(PHOTO)
    console.print(f"{PHOTO.name}: {photo.width} x {photo.height}, {PHOTO.stat().st_size:,} bytes as JPEG")

    rows = {
        "bicubic x4": [
            f"{-(-photo.height // 4) * -(-photo.width // 4):,}",
            "",
            "",
            *scores(enlarge_bicubic(photo.colour, 4), photo),
            "",
        ]
    }
    for name, options in (
        ("plain x4", {"pipeline": PLAIN_PIPELINE}),
        ("lossless LR", {"lossless_lr": True}),
        ("--tune psnr", {"lossless_lr": True, "tune": "psnr"}),
        ("--effort 3", {"lossless_lr": True, "effort": 3}),
        ("by default", {}),
    ):
        path = OUT / f"{PHOTO.stem}.bbmr"
        started = time.perf_counter()
        bbmr.save(bbmr.compress(photo, **options), path, overwrite=True)
        compressed = time.perf_counter()
        rescaled = bbmr.load(path)
        restored = bbmr.restore(rescaled)
        seconds = (compressed - started, time.perf_counter() - compressed)
        size = path.stat().st_size
        rows[name] = [
            f"{rescaled.lr_pixels:,}",
            f"{size:,}",
            f"{8 * size / (photo.width * photo.height):.3f}",
            *scores(restored.colour, photo),
            " + ".join(f"{part:.1f}" for part in seconds),
        ]
    rows["AVIF"] = of_avif(photo, size)
    write_picture(restored, OUT / "restored.png", overwrite=True)
    drawn = draw_map(photo.colour, scale_plane(rescaled.scales, rescaled.grid), rescaled.blocks_per_scale)
    write_picture(bbmr.Picture(drawn), OUT / "scale-map.png", overwrite=True)

    table = Table("", *COLUMNS, padding=(0, 0))
    for name, cells in rows.items():
        table.add_row(name, *cells)
    console.print(table)
    console.print(f"Restored picture and scale map: {OUT}")


def of_avif(photo: bbmr.Picture, size: int) -> list[str]:
    """The best whole picture that Pillow codes as AVIF in so many bytes."""
    for quality in range(60, -1, -1):  # from the best that could come into question
        file = BytesIO()
        Image.fromarray(photo.colour).save(file, "AVIF", quality=quality, speed=4, advanced={"tune": "psnr"})
        if len(file.getvalue()) <= size:
            break
    with Image.open(file) as image:
        restored = np.array(image.convert("RGB"))
    written = len(file.getvalue())
    bpp = 8 * written / (photo.width * photo.height)
    return ["", f"{written:,}", f"{bpp:.3f}", *scores(restored, photo), ""]


def scores(restored: NDArray[np.uint8], photo: bbmr.Picture) -> list[str]:
    """PSNR-Y and PSNR-RGB in dB, SSIM and MS-SSIM."""
    return [f"{metric(restored, photo.colour):.{digits}f}" for metric, digits in METRICS]


if __name__ == "__main__":
    main()
