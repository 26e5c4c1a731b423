"""Super-resolution models in ONNX files, as SR functions."""

import re
from importlib import import_module
from os import PathLike, fsdecode
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bbmr.blocks import SCALES
from bbmr.downscaling.bicubic import extend
from bbmr.errors import BbmrError
from bbmr.extras import from_extra

_PROBE = 64  # samples per side where a model takes any: a multiple of what windows and strides divide by
_HALO = 16  # samples around the middle of a window, which alone is taken

# Files beside a model that hold its tensors are named in it, as protobuf writes an entry ("location", name): field 1 of
# 8 bytes, then field 2 and its length, a varint.
_LOCATION = re.compile(rb"\x0a\x08location\x12([\x00-\x7f]|[\x80-\xff][\x00-\x7f])")


class OnnxFunction:
    """An `SRFunction` over an ONNX file, on the CPU, with as many threads as torch has.

    The model has one input and one output, NCHW float32 in [0, 1].  One of three channels is given RGB; one of a single
    channel restores R, G and B each by itself: models for luma differ in which luma they mean, and none tells.  A model
    of fixed height or width is given windows of that size, mirrored beyond the plane, of which the outer 16 samples (at
    most an eighth of the side) are left out.  Models of half precision, of 8 bit, or of samples from 0 to 255 are not
    for this; those of the last kind go unnoticed.

    path: the file.  scales: the one that a small input is enlarged by.  files: the model's file, then those with its
    external data in order of their names, as absolute paths.
    Raises BbmrError for a file that cannot be read, for other models, and without onnxruntime.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._path = Path(path)
        self.name = self._path.name
        self._session = _open(self._path)
        self._input, self._channels, self._window = self._find_input()
        self.scales = (self._find_scale(),)
        self.files = (self._path.absolute(), *_external_data(self._path.absolute()))

    def __call__(self, lr: Tensor, scale: int) -> Tensor:
        """(1, 3, h, w) float32 in [0, 1] -> (1, 3, h scale, w scale); scale: the one of the model.  Gives no gradients.
        Raises BbmrError where the model fails.
        """
        if scale not in self.scales:
            raise BbmrError(f"{self._path}: enlarges by {self.scales[0]}, not by {scale}")
        planes = lr.detach().cpu()
        if self._channels == 1:
            return torch.cat([self._enlarge(planes[:, [colour]], scale) for colour in range(3)], 1)
        return self._enlarge(planes, scale)

    def _enlarge(self, plane: Tensor, scale: int) -> Tensor:
        """A plane of any size, (1, C, h, w), window by window; a free side of a window is that of the plane."""
        height, width = plane.shape[2:]
        sides = [fixed or length for fixed, length in zip(self._window, (height, width), strict=True)]
        top, left = (min(_HALO, fixed // 8) if fixed else 0 for fixed in self._window)
        rows, cols = sides[0] - 2 * top, sides[1] - 2 * left
        seen = extend(extend(plane, top, rows, dim=2), left, cols, dim=3).numpy()
        middle = slice(top * scale, (top + rows) * scale), slice(left * scale, (left + cols) * scale)
        restored = np.concatenate(
            [
                np.concatenate(
                    [
                        self._run(seen[:, :, row : row + sides[0], col : col + sides[1]])[:, :, *middle]
                        for col in range(0, width, cols)
                    ],
                    axis=3,
                )
                for row in range(0, height, rows)
            ],
            axis=2,
        )
        return torch.from_numpy(restored[:, :, : height * scale, : width * scale])

    def _run(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            (restored,) = self._session.run(None, {self._input: np.ascontiguousarray(samples)})
            return np.asarray(restored)
        except Exception as error:  # onnxruntime's have no base of their own
            raise BbmrError(f"{self._path}: the model fails on an input {samples.shape}: {error}") from error

    def _find_input(self) -> tuple[str, int, tuple[int | None, int | None]]:
        """Name, channels, and the height and width where they are fixed."""
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise BbmrError(
                f"{self._path}: has {len(inputs)} inputs and {len(outputs)} outputs; an SR model has one of each"
            )
        (given,) = inputs
        if given.type != "tensor(float)" or len(given.shape) != 4:
            raise BbmrError(
                f"{self._path}: takes {given.type} of {len(given.shape)} dimensions; "
                "only models of float32, NCHW, can be used"
            )
        # Dimensions that are free have a name or none.
        batch, channels, *size = (length if isinstance(length, int) else None for length in given.shape)
        if batch not in (None, 1) or channels not in (None, 1, 3):
            raise BbmrError(
                f"{self._path}: takes inputs {tuple(given.shape)}; only models for one picture at a time, of 1 or 3 "
                "channels (NCHW), can be used"
            )
        return given.name, channels or 3, (size[0], size[1])

    def _find_scale(self) -> int:
        height, width = (fixed or _PROBE for fixed in self._window)
        restored = self._run(np.full((1, self._channels, height, width), 0.5, np.float32))
        scale = restored.shape[2] // height if restored.ndim == 4 else 0
        if restored.shape != (1, self._channels, height * scale, width * scale) or scale not in SCALES[1:]:
            raise BbmrError(
                f"{self._path}: makes {restored.shape} of {(1, self._channels, height, width)}; only models that "
                f"enlarge by {', '.join(map(str, SCALES[1:]))} can be used"
            )
        return scale


def _external_data(path: Path) -> list[Path]:
    """The files with a model's external data, in order of their names.

    Found in the bytes, since onnxruntime does not tell them.  What is called a location and is no file is left out:
    metadata may be called that too, and without its data a model cannot be opened.
    """
    model = path.read_bytes()
    places = set()
    for found in _LOCATION.finditer(model):
        low, high = found[1] if len(found[1]) == 2 else (found[1][0], 0)
        name = model[found.end() : found.end() + (low & 0x7F | high << 7)]
        places.add(path.parent / fsdecode(name))
    return sorted(place for place in places if place.is_file())


def _open(path: Path) -> Any:
    """An onnxruntime.InferenceSession, which has no types."""
    with from_extra("evaluate"):
        onnxruntime = import_module("onnxruntime")
    if not path.is_file():
        raise BbmrError(f"{path}: there is no such file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors, which it raises anyway
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's have no base of their own
        raise BbmrError(f"{path}: cannot be read as an ONNX model: {error}") from error
