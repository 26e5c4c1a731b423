"""Reading checkpoints that others made.  Nothing in them is run; sizes are bounded before they take memory."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from bbmr.errors import BbmrError

LARGEST_FILE = 256 << 20  # bytes, unpacked; Omni-SR has 3.6 MB, Joint SR 9 MB in float32
MOST_TENSORS = 4096
SUFFIXES = (".pth", ".pt", ".safetensors")
# Where training programs put the weights, in order of preference: averages of the weights are what one restores with.
_WRAPPERS = ("params_ema", "params", "state_dict", "model")
_PREFIX = "module."  # from torch's DataParallel


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The state dict in a checkpoint, its tensors dense, finite and in float32.

    `.safetensors`, or `.pth` and `.pt` as torch saves them; there it may lie below `params_ema`, `params`, `state_dict`
    or `model`.  A prefix `module.` of all keys is dropped.  Raises BbmrError for any other file, for one that holds
    more than tensors, and for one that is too large.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise BbmrError(f"{path}: the suffix is not one of a checkpoint; give a {', '.join(SUFFIXES)} file")
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise BbmrError(f"{path}: has {size >> 20} MiB; at most {LARGEST_FILE >> 20} are read: give weights alone")
        content = _read_safetensors(path) if path.suffix.lower() == ".safetensors" else _read_pickle(path)
    except OSError as error:
        raise BbmrError(f"{path}: cannot be read ({error.strerror or error}); check its name and rights") from error
    return _checked(path, _without_prefix(_find_state(content)))


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load(path.read_bytes())
    except SafetensorError as error:
        raise BbmrError(f"{path}: is damaged, or no safetensors file ({error}); get it again") from error


def _read_pickle(path: Path) -> Any:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                size = sum(member.file_size for member in archive.infolist())
            if size > LARGEST_FILE:
                raise BbmrError(f"{path}: unpacks to {size >> 20} MiB; at most {LARGEST_FILE >> 20} are read")
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, BbmrError):
        raise
    except Exception as error:  # damaged pickles fail in many ways
        stranger = re.search(r"GLOBAL ([\w.]+)", str(error))
        if stranger:
            raise BbmrError(
                f"{path}: refused, as it holds {stranger[1]}, not only tensors; such a file can run programs when it "
                "is read: get the weights alone, best as .safetensors"
            ) from error
        raise BbmrError(
            f"{path}: is damaged, or no checkpoint of torch ({type(error).__name__}); get it again"
        ) from error


def _find_state(content: Any) -> Any:
    for _ in _WRAPPERS:  # not for ever: a pickle may lie in itself
        if isinstance(content, Mapping):
            content = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), content)
    return content


def _without_prefix(state: Any) -> Any:
    if isinstance(state, Mapping) and all(isinstance(key, str) and key.startswith(_PREFIX) for key in state):
        return {key.removeprefix(_PREFIX): value for key, value in state.items()}
    return state


def _checked(path: Path, state: Any) -> dict[str, Tensor]:
    if not isinstance(state, Mapping) or not state:
        raise BbmrError(f"{path}: holds no state dict ({type(state).__name__}); give a checkpoint of weights")
    if len(state) > MOST_TENSORS:
        raise BbmrError(f"{path}: has {len(state)} entries, more than any network here ({MOST_TENSORS} at most)")
    for key, tensor in state.items():
        # What torch rebuilds may claim any shape over a few bytes.
        if (
            not isinstance(key, str)
            or not isinstance(tensor, Tensor)
            or tensor.layout != torch.strided
            or tensor.device.type != "cpu"
            or tensor.is_complex()
            or tensor.is_quantized
        ):
            raise BbmrError(f"{path}: {key!r} is no array of real numbers; give the weights alone")
    if sum(tensor.numel() for tensor in state.values()) > LARGEST_FILE // 4:
        raise BbmrError(f"{path}: has more than {LARGEST_FILE >> 22} million weights; no network here has so many")
    # Copies: parts of one piece of memory, as some programs save them, cannot be stored.
    single = {key: tensor.detach().to(torch.float32, copy=True).contiguous() for key, tensor in state.items()}
    for key, tensor in single.items():
        if not tensor.isfinite().all():
            raise BbmrError(f"{path}: {key!r} has values that are not finite (NaN or infinite); get another checkpoint")
    return single
