"""What the paper reports: J. Li and S. Zhou, "Block-Based Multi-Scale Image Rescaling", AAAI-25, tables 1 to 5.

Its test photographs are others than those of this project (100 each of 2K and 4K, from DIV8K), its networks were
trained for 1000 epochs: absolute values differ, differences between methods should agree.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PaperPSNR:
    """PSNR-Y in dB of the whole picture at x4 and of BBMR."""

    plain: float
    bbmr: float

    @property
    def gain(self) -> float:
        return self.bbmr - self.plain


TABLE_1: Mapping[int, Mapping[str, float]] = {
    2: {"medium": 37.24, "hard": 39.13},
    4: {"simple": 39.02, "medium": 31.62, "hard": 30.92},
    8: {"simple": 37.96, "medium": 27.34},
}
"""PSNR-Y in dB of blocks of DIV2K's validation pictures by scale and class, bicubic and Omni-SR."""
SHARES = {"simple": 0.20, "medium": 0.753, "hard": 0.047}
"""Of the blocks in each class of table 1."""

TABLE_2: Mapping[str, tuple[PaperPSNR, PaperPSNR]] = {
    "Omni-SR": (PaperPSNR(36.50, 37.78), PaperPSNR(33.15, 34.30)),
    "CRAFT": (PaperPSNR(36.32, 37.53), PaperPSNR(32.99, 34.05)),
    "Down-Net + Omni-SR": (PaperPSNR(39.60, 41.36), PaperPSNR(36.75, 38.49)),
    "Down-Net + CRAFT": (PaperPSNR(39.46, 41.43), PaperPSNR(36.64, 38.46)),
}
"""On Test2K and Test4K, by downscaler and network."""

TABLE_3: Mapping[str, tuple[float, float, float]] = {
    "Omni-SR, whole picture": (0.77, 243.46, 327.87),
    "BBMR-Omni-SR": (2.3, 250.15, 337.22),
    "CRAFT, whole picture": (0.72, 242.20, 326.17),
    "BBMR-CRAFT": (2.20, 249.04, 335.61),
}
"""Upscaling Module: parameters in millions; multiply-accumulates of a picture of Test2K, of Test4K, in G."""

TABLE_4: Mapping[str, tuple[float, float, float, float]] = {
    "BBMR-Omni-SR, its own network": (1258.53, 37.78, 1694.85, 34.30),
    "BBMR-Omni-SR, light network": (324.01, 37.57, 436.34, 34.11),
    "BBMR-CRAFT, its own network": (1256.80, 37.53, 1692.52, 34.05),
    "BBMR-CRAFT, light network": (324.01, 37.39, 436.34, 33.93),
}
"""Downscaling Module: multiply-accumulates in G and PSNR-Y in dB, on Test2K and on Test4K."""

TABLE_5: Mapping[str, tuple[float, float]] = {
    "whole picture at x4": (33.15, 327.87),
    "cut into blocks, each alone": (33.08, 327.65),
    "+ Algorithm 1, blocks alone": (34.26, 328.30),
    "+ Algorithm 1, Joint SR": (34.32, 330.53),
    "+ Algorithm 1, Joint SR, deblocking": (34.30, 337.22),
}
"""Omni-SR with bicubic LR planes on Test4K: PSNR-Y in dB and multiply-accumulates in G."""
