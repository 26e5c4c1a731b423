"""The recipe as bytes: three names, the digest of the weights, and the expected PSNR."""

import math
import re
import struct

from bbmr.fileformat.errors import FileFormatError
from bbmr.rescaled import NAME_LIMIT, Recipe

LIMIT = 4 * (1 + NAME_LIMIT) + 8
_PSNR = struct.Struct("<d")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # a terminal would obey them


def encode(recipe: Recipe) -> bytes:
    """Each of pipeline, weights, tune (UTF-8) and digest is led by its length, a byte; the PSNR ends it, if known."""
    try:
        digest = bytes.fromhex(recipe.weights_digest)
    except ValueError as error:
        raise ValueError(f"weights_digest is hexadecimal, not {recipe.weights_digest!r}") from error
    if digest.hex() != recipe.weights_digest:
        raise ValueError(f"weights_digest is in lower case, without spaces, not {recipe.weights_digest!r}")
    if recipe.expected_psnr is not None and not math.isfinite(recipe.expected_psnr):
        raise ValueError(f"the expected PSNR is {recipe.expected_psnr}; give None where it is unknown")
    if _CONTROL.search(recipe.pipeline + recipe.weights + recipe.tune):
        raise ValueError(f"a name in the recipe has control characters: {recipe}")
    fields = [name.encode() for name in (recipe.pipeline, recipe.weights, recipe.tune)] + [digest]
    if max(map(len, fields)) > NAME_LIMIT:
        raise ValueError(f"a name in the recipe is longer than {NAME_LIMIT} bytes: {recipe}")
    psnr = b"" if recipe.expected_psnr is None else _PSNR.pack(recipe.expected_psnr)
    return b"".join(bytes([len(field)]) + field for field in fields) + psnr


def decode(data: bytes) -> Recipe:
    """The inverse of `encode`.  Raises FileFormatError."""
    fields = []
    position = 0
    for _ in range(4):
        end = position + 1 + (data[position] if position < len(data) else 0)
        if end > len(data):
            raise FileFormatError("ends within a name")
        fields.append(data[position + 1 : end])
        position = end
    rest = data[position:]
    if len(rest) not in (0, _PSNR.size):
        raise FileFormatError(f"{len(rest)} bytes follow the names; 0 or {_PSNR.size} are expected")
    psnr = _PSNR.unpack(rest)[0] if rest else None
    if psnr is not None and not math.isfinite(psnr):
        raise FileFormatError(f"the expected PSNR is {psnr}")
    try:
        pipeline, weights, tune = (field.decode() for field in fields[:3])
    except UnicodeDecodeError as error:
        raise FileFormatError(f"a name is not UTF-8 ({error})") from error
    if _CONTROL.search(pipeline + weights + tune):
        raise FileFormatError("a name has control characters")
    return Recipe(pipeline, weights, fields[3].hex(), tune, psnr)
