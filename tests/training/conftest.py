"""Photographs to train on."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Small pictures with edges; their names put some of them into the validation split."""
    random = np.random.default_rng(0)
    folder = tmp_path / "photos"
    folder.mkdir()
    y, x = np.mgrid[:272, :288]
    for number in range(40):
        angle, period = random.uniform(0, np.pi), random.uniform(6, 40)
        stripes = np.sign(np.sin((x * np.cos(angle) + y * np.sin(angle)) / period)) * 80 + 128
        Image.fromarray(np.repeat(stripes[:, :, None], 3, 2).astype(np.uint8)).save(folder / f"{number}.png")
    return folder
