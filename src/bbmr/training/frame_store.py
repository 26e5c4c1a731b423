"""What the codec made of parts of photographs, kept in a folder: coding takes far longer than reading and decoding."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from bbmr.atomic import OutputError, replacing

Frames = Mapping[int, bytes]
"""The frames of a part, by scale."""


class FrameStore:
    """Keeps the frames of numbered parts in a folder of their own below `folder`.

    made_of: everything that decides what the parts are; of others the frames are not taken.
    """

    def __init__(self, folder: Path, made_of: object) -> None:
        self._folder = folder / sha256(repr(made_of).encode()).hexdigest()[:16]

    def get(self, number: int, make: Callable[[], Frames]) -> Frames:
        """The frames of a part; `make` makes them where they are not there yet, or damaged.

        Raises OutputError where they cannot be written.
        """
        path = self._folder / f"{number}.safetensors"
        try:
            return {int(factor): data.tobytes() for factor, data in load_file(path).items()}
        except (OSError, SafetensorError, ValueError):
            frames = make()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self._folder}: this folder cannot be made ({error.strerror})") from error
        with replacing(path, overwrite=True) as file:
            file.write(save({str(factor): np.frombuffer(data, np.uint8) for factor, data in frames.items()}))
        return frames
