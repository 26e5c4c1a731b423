"""What users call their pictures, sets and parts, put where not every text may stand: file names and Markdown."""

import re
from hashlib import sha256

_LIMIT = 120  # bytes: file systems take 255, encrypted ones 143
_HASHED = 8

# What starts a list, a heading, a rule or an underline in the first place of a paragraph; numbers keep their signs.
_STARTS_BLOCK = re.compile(r"^([-+=#])(?![\d.])|^(\d{1,9})([.)])(?=\s|$)")
# What means something anywhere: emphasis, code, links, tags, columns, strike-through, formulas, character references.
_MEANS_SOMETHING = re.compile(r"[\\`*_\[\]<>|~$]|&(?=#?\w+;)|#+$")


def bounded(name: str) -> str:
    """A name of at most 120 bytes in UTF-8: itself, or its beginning and a digest of all of it."""
    data = name.encode()
    if len(data) <= _LIMIT:
        return name
    return f"{data[: _LIMIT - _HASHED - 1].decode(errors='ignore')}-{sha256(data).hexdigest()[:_HASHED]}"


def escape_markdown(text: str) -> str:
    """Text as Markdown (CommonMark, tables of GitHub) that shows just that text, on one line."""
    line = _MEANS_SOMETHING.sub(lambda found: f"\\{found[0]}", " ".join(text.split()))
    return _STARTS_BLOCK.sub(lambda found: f"\\{found[1]}" if found[1] else f"{found[2]}\\{found[3]}", line)
