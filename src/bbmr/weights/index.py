"""What weights there are, and loading them by name."""

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from platformdirs import user_data_path
from safetensors.torch import load
from torch import Tensor

from bbmr.atomic import OutputError, replacing
from bbmr.downscaling.downnet import as_filters
from bbmr.errors import BbmrError
from bbmr.networks import NetworkDescriptor, build_network

INDEX = "index.json"
PACKAGE = files(__package__)
DOWNNET = "downnet"  # what an index has as the network of filters, which restore nothing
LR = ".lr"  # what the names of filters end with: those of the weights that they were trained with, and this
_PATIENCE = 30  # seconds


@dataclass(frozen=True)
class WeightsEntry:
    """One line of an index.

    file: its name in the folder of the index.  network: a name registered in bbmr.networks, or DOWNNET.  sha256: of the
    file, in hexadecimal.  scale: where the weights are for one only; None where they take maps of several.  steps: of
    their training; None where that is not known.  psnr_y: in dB, mean over the validation crops of the training, for
    each view in the log of the run (`maps` of the allocator, uniform `x2`, `x4`, `x8`).  psnr_y_bicubic: what bicubic
    enlargement gives there.
    """

    file: str
    network: str
    sha256: str
    scale: int | None = None
    steps: int | None = None
    psnr_y: Mapping[str, float] = field(default_factory=dict, hash=False)
    psnr_y_bicubic: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if Path(self.file).name != self.file:
            raise ValueError(f"{self.file!r} does not lie in the folder of the index")
        if self.psnr_y.keys() != self.psnr_y_bicubic.keys():
            raise ValueError(f"{self.file}: psnr_y and psnr_y_bicubic have different views")


def own_folder() -> Path:
    """Where imported weights lie: the folder in BBMR_WEIGHTS, else one where the platform keeps a user's data."""
    named = os.environ.get("BBMR_WEIGHTS")
    return Path(named) if named else user_data_path("bbmr", appauthor=False) / "weights"


def read_index(folder: Traversable) -> dict[str, WeightsEntry]:
    """All weights in a folder, by name; none where there is no index.  Raises BbmrError for one that is damaged or
    may not be read.
    """
    path = folder / INDEX
    try:
        entries = json.loads(path.read_text("utf-8"))
        return {name: WeightsEntry(**entry) for name, entry in entries.items()}
    except FileNotFoundError:
        return {}
    except PermissionError as error:
        raise BbmrError(
            f"{path}: you may not read this index of weights; see to your rights to it, or name another folder in "
            "BBMR_WEIGHTS"
        ) from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BbmrError(
            f"{path}: cannot be read as an index of weights ({error}); remove it and import the weights again"
        ) from error


def write_index(folder: Path, index: Mapping[str, WeightsEntry]) -> None:
    """Replace the index of `folder`, whole or not at all.  Raises BbmrError where that cannot be written."""
    text = json.dumps({name: asdict(entry) for name, entry in index.items()}, indent=2, sort_keys=True) + "\n"
    with replacing(folder / INDEX, overwrite=True) as file:
        file.write(text.encode())


@contextmanager
def changing_index(folder: Path) -> Iterator[dict[str, WeightsEntry]]:
    """The index of `folder`, to be changed: it is written when the block ends well.  Others wait meanwhile.

    Makes the folder.  Raises BbmrError where it cannot be made, as `read_index` and `write_index` do, and where others
    take too long.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=_PATIENCE)
        with lock:
            index = read_index(folder)
            yield index
            write_index(folder, index)
    except Timeout as error:
        raise OutputError(
            f"{folder}: another bbmr has been changing the weights for {_PATIENCE} seconds; try again later"
        ) from error
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be changed ({error.strerror}); name another folder in BBMR_WEIGHTS"
        ) from error


def shipped_index() -> dict[str, WeightsEntry]:
    """The weights that come with the package, by name."""
    return read_index(PACKAGE)


def weights_index() -> dict[str, WeightsEntry]:
    """All weights by name, imported ones included; a name that ships stands for what ships.

    Warns (UserWarning), once a process, where the index of the imported ones is damaged or may not be read, and leaves
    them out: those that ship do not depend on it.
    """
    return _imported_index() | shipped_index()


def load_weights(name: str) -> NetworkDescriptor:
    """The network called `name` with its weights, in float32.  Raises BbmrError for unknown or damaged weights, and for
    filters.
    """
    entry, folder = _find(name)
    if entry.network == DOWNNET:
        raise BbmrError(f"{name!r} are filters of Down-Net, which make LR pictures and restore nothing")
    return _load(name, entry, folder)


def load_filters(name: str) -> dict[int, Tensor]:
    """The folded Down-Nets called `name`, by scale, as `bbmr.downscaling.downnet.fold` gives them.  Raises BbmrError as
    `load_weights`, and for weights of a network.
    """
    entry, folder = _find(name)
    if entry.network != DOWNNET:
        raise BbmrError(f"{name!r} are weights of {entry.network}, not filters of Down-Net")
    return _load_filters(name, entry, folder)


def _find(name: str) -> tuple[WeightsEntry, Path | None]:
    """The entry, and its folder; None for the package's."""
    shipped = shipped_index()
    if name in shipped:
        return shipped[name], None
    imported = _imported_index()
    if name in imported:
        return imported[name], own_folder()
    raise BbmrError(f"no weights are called {name!r}; there are: {', '.join(sorted(imported | shipped))}")


def _imported_index() -> dict[str, WeightsEntry]:
    try:
        return read_index(own_folder())
    except BbmrError as error:
        _warn_once(str(error))
        return {}


@cache
def _warn_once(text: str) -> None:
    """A command looks into the index several times."""
    warnings.warn(text, stacklevel=2)


@cache
def _load(name: str, entry: WeightsEntry, folder: Path | None) -> NetworkDescriptor:
    state = _read(name, entry, folder)
    try:
        return build_network(entry.network, state)
    except (KeyError, ValueError, RuntimeError) as error:
        raise BbmrError(
            f"{entry.file}: this version of bbmr has no such network as {entry.network!r}; {_mend(name, folder)}"
        ) from error


@cache
def _load_filters(name: str, entry: WeightsEntry, folder: Path | None) -> dict[int, Tensor]:
    state = _read(name, entry, folder)
    try:
        return as_filters(state)
    except ValueError as error:
        raise BbmrError(f"{entry.file}: {error}; {_mend(name, folder)}") from error


def _mend(name: str, folder: Path | None) -> str:
    return f"run `bbmr weights remove {name}` and import them again" if folder else "install bbmr again"


def _read(name: str, entry: WeightsEntry, folder: Path | None) -> dict[str, Tensor]:
    """What the file holds, in float32; folder: None for the package's."""
    path = (folder or PACKAGE) / entry.file
    mend = _mend(name, folder)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BbmrError(f"{path}: the weights {name!r} cannot be read ({error.strerror or error}); {mend}") from error
    if sha256(data).hexdigest() != entry.sha256:
        raise BbmrError(f"{path}: the weights {name!r} are damaged: their checksum differs; {mend}")
    return {key: tensor.to(torch.float32) for key, tensor in load(data).items()}
