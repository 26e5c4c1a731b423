"""Parts of one's own by text, as the command line takes them: `module:callable`, `folder/file.py:callable` or, for
upscalers, an ONNX file or the name of weights.

Runs the user's own code, with all that it may do.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import file_digest, sha256
from importlib import import_module, invalidate_caches
from importlib.util import module_from_spec, spec_from_file_location
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Final, cast

from bbmr.downscaling import Downscaler
from bbmr.errors import BbmrError
from bbmr.parts import Allocator, CheckedUpscaler, SRFunction
from bbmr.upscaling import Upscaler
from bbmr.upscaling.mosaic import MosaicUpscaler
from bbmr.upscaling.onnx import OnnxFunction
from bbmr.upscaling.own import OwnUpscaler
from bbmr.upscaling.plain import PlainUpscaler
from bbmr.weights import load_weights, weights_index
from bbmr.weights.index import LR


def load_part(text: str) -> tuple[object, str]:
    """The callable that a text names, and its fingerprint, 64 hexadecimal digits.

    text: `module:callable`, where a file of that name in the current folder comes first; `folder/file.py:callable`,
    where the file can import the modules beside it; or the path of an ONNX model, which becomes an `OnnxFunction`.
    A file is run each time, so that what was edited counts; modules that are installed are imported once.
    The fingerprint is the SHA-256 of the module's source file followed by the callable's name and by the SHA-256 (32
    bytes) of each of the callable's `files`, see `bbmr.parts`; or of the ONNX file followed by the SHA-256 of each file
    with its external data.  It knows nothing of other files that these use.
    Raises BbmrError for text of another form, for modules that are missing or fail, whose file has changed since they
    were imported, or that may import a module of another part's folder in place of their own, for a name that is
    missing there or cannot be called, for `files` that are not there, and as `OnnxFunction` does.
    """
    if _is_onnx(text):
        function = OnnxFunction(text)
        model, *data = function.files
        return function, _fingerprint(model.read_bytes(), data)
    place, _, name = text.rpartition(":")
    if not place or not name:
        raise BbmrError(f"{text!r} names no part; give module:callable or folder/file.py:callable")
    module = _load_file(Path(place)) if place.endswith(".py") else _load_module(place)
    source = getattr(module, "__file__", None)
    if source is None:  # what is built in, and folders
        raise BbmrError(f"{text}: {place} is no module in a file of its own; name one that is")
    if not hasattr(module, name):
        raise BbmrError(f"{text}: {source} has no {name!r}; it has: {_callables_of(module)}")
    part = getattr(module, name)
    if not callable(part):
        raise BbmrError(f"{text}: {name!r} cannot be called; it is a {type(part).__name__}")
    if isinstance(part, type):
        raise BbmrError(f"{text}: {name!r} is a class; name a function, or an object of the class that can be called")
    code = Path(source).read_bytes()
    if _imported.setdefault(module.__name__, code) != code:
        raise BbmrError(f"{text}: {source} was changed after it was imported; start Python anew")
    return part, _fingerprint(code + name.encode(), _files_of(part, Path(source).parent, text))


def load_upscaler(text: str) -> tuple[Upscaler, str]:
    """An upscaler over the `SRFunction`, the ONNX model or the weights that a text names, and its fingerprint.

    Weights, shipped or imported, are those of an SR network, which restores pictures of one scale, or of one for
    mosaics; they work on bicubic LR planes, on the CPU.  Raises BbmrError for others, and as `load_part` and
    `OwnUpscaler`.
    """
    if text in weights_index():
        upscaler = WeightsUpscaler(text)
        return upscaler, upscaler.fingerprint
    function, fingerprint = load_part(text)
    # The file format records the name; folders are the sender's business.
    return OwnUpscaler(cast(SRFunction, function), Path(text).name, fingerprint), fingerprint


class WeightsUpscaler(CheckedUpscaler):
    """What a network with the weights of a name restores.  As `load_upscaler`."""

    _KINDS: Final = {"mosaic": MosaicUpscaler, "sr": PlainUpscaler}

    def __init__(self, name: str) -> None:
        descriptor, entry = load_weights(name), weights_index()[name]
        if descriptor.kind not in self._KINDS or name + LR in weights_index():
            raise BbmrError(
                f"{name}: only weights of SR networks and of those for mosaics, on bicubic LR planes, can take the "
                "place of an upscaler; `bbmr compress --weights` takes others"
            )
        super().__init__(self._KINDS[descriptor.kind](descriptor))
        self.name, self.fingerprint = name, entry.sha256
        if entry.scale is not None:
            self.scales = (entry.scale,)


def load_downscaler(text: str) -> tuple[Downscaler, str]:
    """The `Downscaler` that a text names, and its fingerprint.  Raises BbmrError as `load_part`, and for ONNX files."""
    _refuse_onnx(text)
    part, fingerprint = load_part(text)
    return cast(Downscaler, part), fingerprint


def load_allocator(text: str) -> tuple[Allocator, str]:
    """The `Allocator` that a text names, and its fingerprint.  Raises BbmrError as `load_part`, and for ONNX files."""
    _refuse_onnx(text)
    part, fingerprint = load_part(text)
    return cast(Allocator, part), fingerprint


def _fingerprint(head: bytes, others: Iterable[Path]) -> str:
    digest = sha256(head)
    for path in others:
        with path.open("rb") as file:
            digest.update(file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _files_of(part: object, folder: Path, text: str) -> list[Path]:
    """What a part's `files` name, in their order.  folder: that of its source."""
    named = getattr(part, "files", ())
    if not isinstance(named, list | tuple) or not all(isinstance(path, str | PathLike) for path in named):
        raise BbmrError(f"{text}: its `files` have to be a list or tuple of paths, not {named!r}")
    paths = [folder / path for path in named]
    for path in paths:
        if not path.is_file():
            raise BbmrError(
                f"{text}: its `files` name {path}, which is no file; relative paths start at the folder of its source"
            )
    return paths


def _is_onnx(text: str) -> bool:
    return text.lower().endswith(".onnx")


def _refuse_onnx(text: str) -> None:
    if _is_onnx(text):
        raise BbmrError(f"{text}: an ONNX file can only be an upscaler; give module:callable")


_imported: dict[str, bytes] = {}
"""The sources of modules as they are at work, by name."""


def _load_module(name: str) -> ModuleType:
    folder = Path.cwd()
    if (file := folder / f"{name}.py").is_file():  # whatever else is called so
        return _load_file(file)
    _look_in(folder)
    invalidate_caches()  # the file may have been written a moment ago
    with _importing(name):
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            # Else the module is there and misses another.
            if error.name is not None and f"{name}.".startswith(f"{error.name}."):
                raise BbmrError(
                    f"there is no module {name!r}, neither in {folder} nor installed; name a file with its .py"
                ) from error
            raise


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise BbmrError(f"{path}: there is no such file")
    path = path.resolve()
    _look_in(path.parent)
    # Not the stem alone: that could be the name of an installed module.
    name = f"{path.stem}_{sha256(bytes(path)).hexdigest()[:16]}"
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)  # where dataclasses and pickles look for it
    _imported.pop(name, None)
    with _importing(str(path)):
        spec.loader.exec_module(module)
    return module


def _look_in(folder: Path) -> None:
    """Let modules in a folder be imported, for as long as Python runs: functions import too.

    Raises BbmrError where one has the name of a module that was imported from another such folder, for then the part
    would get that.
    """
    for file in folder.glob("*.py"):
        other = getattr(sys.modules.get(file.stem), "__file__", None)
        if other is not None and Path(other).parent in _looked_in - {folder}:
            raise BbmrError(f"{file} and {other} have the same name, which Python knows one module by; rename one")
    _looked_in.add(folder)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


_looked_in: set[Path] = set()


@contextmanager
def _importing(place: str) -> Iterator[None]:
    try:
        yield
    except BbmrError:
        raise
    except (Exception, SystemExit) as error:
        raise BbmrError(f"{place}: {type(error).__name__} while it was imported: {error}") from error


def _callables_of(module: ModuleType) -> str:
    """The names that may have been meant."""
    names = [
        name
        for name, value in vars(module).items()
        if callable(value)
        and not isinstance(value, type)
        and not name.startswith("_")
        and getattr(value, "__module__", "") == module.__name__
    ]
    return ", ".join(names) or "nothing that can be called"
