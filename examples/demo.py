"""Compress and restore the photograph beside this file; `make demo` runs it.

Leaves in build/demo: the .bbmr file, the restored picture, and the scale map drawn over the photograph.
"""

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import bbmr
from bbmr.evaluation.comparison import enlarge_bicubic
from bbmr.evaluation.metrics import ms_ssim_y, psnr_rgb, psnr_y, ssim_y
from bbmr.evaluation.pictures import draw_map, scale_plane
from bbmr.imageio import read_picture, write_picture
from bbmr.options import PLAIN_PIPELINE, Options
from bbmr.pipeline import compress

PHOTO = Path(__file__).with_name("giraffe.jpg")
METRICS = ((psnr_y, 2), (psnr_rgb, 2), (ssim_y, 4), (ms_ssim_y, 4))  # and the digits of each
ROWS = ("LR pixels", "bytes", "bits per pixel", "PSNR-Y, dB", "PSNR-RGB, dB", "SSIM", "MS-SSIM", "compress", "restore")
OUT = Path(__file__).parents[1] / "build" / "demo"


def main() -> None:
    """Compress and restore in several ways, and print what each costs and gives."""
    console = Console()
    OUT.mkdir(parents=True, exist_ok=True)
    photo = read_picture(PHOTO)
    console.print(f"{PHOTO.name}: {photo.width} x {photo.height}, {PHOTO.stat().st_size:,} bytes as JPEG")

    columns = {
        "bicubic x4": [
            f"{-(-photo.height // 4) * -(-photo.width // 4):,}",
            "",
            "",
            *scores(enlarge_bicubic(photo.colour, 4), photo),
            "",
            "",
        ]
    }
    for name, options in (
        ("plain x4", Options(pipeline=PLAIN_PIPELINE)),
        ("bbmr --tune psnr", Options(tune="psnr")),
        ("bbmr --effort 3", Options(effort=3)),
        ("bbmr", Options()),
    ):
        path = OUT / f"{PHOTO.stem}.bbmr"
        started = time.perf_counter()
        bbmr.save(compress(photo, options), path, overwrite=True)
        compressed = time.perf_counter()
        rescaled = bbmr.load(path)
        restored = bbmr.restore(rescaled)
        seconds = (compressed - started, time.perf_counter() - compressed)
        size = path.stat().st_size
        columns[name] = [
            f"{rescaled.lr_pixels:,}",
            f"{size:,}",
            f"{8 * size / (photo.width * photo.height):.3f}",
            *scores(restored.colour, photo),
            *(f"{part:.1f} s" for part in seconds),
        ]
    write_picture(restored, OUT / "restored.png", overwrite=True)
    drawn = draw_map(photo.colour, scale_plane(rescaled.scales, rescaled.grid), rescaled.blocks_per_scale)
    write_picture(bbmr.Picture(drawn), OUT / "scale-map.png", overwrite=True)

    table = Table("", *columns)
    for title, *cells in zip(ROWS, *columns.values(), strict=True):
        table.add_row(title, *cells)
    console.print(table)
    console.print(f"Restored picture and scale map: {OUT}")


def scores(restored: NDArray[np.uint8], photo: bbmr.Picture) -> list[str]:
    """PSNR-Y and PSNR-RGB in dB, SSIM and MS-SSIM."""
    return [f"{metric(restored, photo.colour):.{digits}f}" for metric, digits in METRICS]


if __name__ == "__main__":
    main()
