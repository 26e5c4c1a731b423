"""EXIF and TIFF: directories of tags, read, written and added to.

EXIF data are a TIFF file without samples, so one reader and one writer of directories serve both.  Values stay the
bytes that they are, in the byte order of their file.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import BinaryIO, Union

from bbmr.picture import METADATA_LIMIT, Metadata

ORIENTATION = 0x0112
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
INCH, CENTIMETRE = 2, 3
"""Values of RESOLUTION_UNIT."""
SUBDIRECTORIES = frozenset((0x8769, 0x8825, 0xA005))  # EXIF, GPS, interoperability
SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 3, 4, 5, 7, 16

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_NESTING = 2  # EXIF within the first directory, interoperability within that


class ExifError(ValueError):
    """The directories are damaged."""


@dataclass(frozen=True)
class Entry:
    """A tag's value: `count` numbers or characters of a TIFF type, as bytes in the file's byte order."""

    kind: int
    count: int
    content: bytes

    def integers(self, order: str) -> tuple[int, ...]:
        """The value as whole numbers.  Raises ExifError where it is none."""
        letter = _INTEGERS.get(self.kind)
        if letter is None:
            raise ExifError("a value is no whole number")
        return struct.unpack(f"{order}{self.count}{letter}", self.content)


Directory = Mapping[int, Union[Entry, "Directory"]]
"""Tag -> value, or another directory."""


def entry(order: str, kind: int, *values: int) -> Entry:
    """Of whole numbers; a RATIONAL is two, numerator and denominator."""
    letter = "I" if kind == RATIONAL else _INTEGERS[kind]
    count = len(values) // 2 if kind == RATIONAL else len(values)
    return Entry(kind, count, struct.pack(f"{order}{len(values)}{letter}", *values))


class Budget:
    """Bytes that directories may still have: all together they have no more than the stream, unless they share some."""

    def __init__(self, left: int) -> None:
        self._left = left

    def spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise ExifError("its tags have more bytes than the file, or than 64 MiB")


@dataclass(frozen=True)
class Tags:
    """An open TIFF stream: byte order of `struct`, 64-bit offsets or not, where its first directory lies, its bytes."""

    file: BinaryIO
    order: str
    big: bool
    first: int
    size: int

    @classmethod
    def of(cls, file: BinaryIO) -> "Tags":
        """Raises ExifError where that is no TIFF stream."""
        size = file.seek(0, 2)
        file.seek(0)
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        if order is None or len(head) < 8:
            raise ExifError("no TIFF header")
        version = struct.unpack(f"{order}H", head[2:4])[0]
        if version == 42:
            return cls(file, order, False, struct.unpack(f"{order}I", head[4:8])[0], size)
        if version == 43 and len(head) == 16 and struct.unpack(f"{order}HH", head[4:8]) == (8, 0):
            return cls(file, order, True, struct.unpack(f"{order}Q", head[8:])[0], size)
        raise ExifError("no TIFF header")

    def budget(self) -> Budget:
        """For directories that belong together."""
        return Budget(min(self.size, METADATA_LIMIT))

    def directory(
        self, offset: int, skipped: frozenset[int] = frozenset(), budget: Budget | None = None
    ) -> tuple[dict[int, Entry], int]:
        """Tags of the directory at `offset`, those to be skipped without their content, and where the next directory
        lies, or 0.

        Raises ExifError where it is damaged, or its tags share bytes so that they have more than the stream.
        """
        budget = budget or self.budget()
        count = self._number("Q" if self.big else "H", offset)
        if count > 4096:
            raise ExifError("a directory of too many tags")
        size, inline = (20, 8) if self.big else (12, 4)
        budget.spend(count * size + inline)
        table = self._bytes(count * size + inline)
        entries: dict[int, Entry] = {}
        for start in range(0, count * size, size):
            tag, kind = struct.unpack_from(f"{self.order}HH", table, start)
            number = struct.unpack_from(f"{self.order}{'Q' if self.big else 'I'}", table, start + 4)[0]
            length = number * _SIZES.get(kind, 0)
            if not length:
                continue
            if tag in skipped:
                entries[tag] = Entry(kind, number, b"")
                continue
            content = table[start + size - inline : start + size][:length]
            if length > inline:
                budget.spend(length)
                self._seek(struct.unpack(f"{self.order}{'Q' if self.big else 'I'}", content)[0])
                content = self._bytes(length)
            entries[tag] = Entry(kind, number, content)
        return entries, struct.unpack_from(f"{self.order}{'Q' if self.big else 'I'}", table, count * size)[0]

    def tree(self, offset: int, skipped: frozenset[int] = frozenset()) -> tuple[Directory, bool]:
        """As `directory`, with its subdirectories in place of pointers to them, and whether all are there: those that
        are damaged are left out, as are tags to be skipped.
        """
        damaged = set[int]()
        return self._tree(offset, skipped, self.budget(), 0, damaged), not damaged

    def _tree(self, offset: int, skipped: frozenset[int], budget: Budget, nested: int, damaged: set[int]) -> Directory:
        """damaged: takes in the tags of subdirectories that are."""
        tree: dict[int, Entry | Directory] = {}
        for tag, value in self.directory(offset, skipped, budget)[0].items():
            if tag in skipped:
                continue
            if tag not in SUBDIRECTORIES:
                tree[tag] = value
            elif nested < _NESTING:
                try:
                    tree[tag] = self._tree(value.integers(self.order)[0], frozenset(), budget, nested + 1, damaged)
                except ExifError:
                    damaged.add(tag)
        return tree

    def _number(self, letter: str, offset: int) -> int:
        self._seek(offset)
        value: int = struct.unpack(f"{self.order}{letter}", self._bytes(struct.calcsize(f"={letter}")))[0]
        return value

    def _seek(self, offset: int) -> None:
        try:
            self.file.seek(offset)
        except (OSError, ValueError, OverflowError) as error:
            raise ExifError("a directory lies outside the file") from error

    def _bytes(self, count: int) -> bytes:
        data = self.file.read(count)
        if len(data) < count:
            raise ExifError("a directory is cut off")
        return data


def directory_bytes(order: str, directory: Directory, offset: int, big: bool = False) -> bytes:
    """A directory, the last of its chain, with all that it points to, as these lie at `offset` of a file."""
    size, inline = (20, 8) if big else (12, 4)
    number = "Q" if big else "I"
    table = [struct.pack(f"{order}{'Q' if big else 'H'}", len(directory))]
    heap: list[bytes] = []
    start = offset + len(table[0]) + len(directory) * size + inline
    for tag, value in sorted(directory.items()):
        if isinstance(value, Entry):
            content, outside = value.content, value.content if len(value.content) > inline else b""
            kind, count = value.kind, value.count
        else:
            kind, count = (LONG8 if big else LONG), 1
            content, outside = b"", directory_bytes(order, value, start, big)
        if outside:
            content = struct.pack(f"{order}{number}", start)
            heap += outside, bytes(len(outside) % 2)
            start += len(outside) + len(outside) % 2
        table.append(struct.pack(f"{order}HH{number}", tag, kind, count) + content.ljust(inline, b"\0"))
    return b"".join((*table, bytes(inline), *heap))


def stream_of(order: str, directory: Directory) -> bytes:
    """A TIFF stream that holds nothing but a directory."""
    return _header(order, 8) + directory_bytes(order, directory, 8)


def orientation(metadata: Metadata) -> int:
    """EXIF orientation, 1 to 8; 1 (upright) where there is none or the EXIF data are damaged."""
    try:
        values = _first_directory(metadata.exif)
        value = values[1][ORIENTATION].integers(values[0])[0]
    except (ExifError, KeyError):
        return 1
    return value if value in range(1, 9) else 1


def resolution(metadata: Metadata) -> tuple[Fraction, Fraction, int] | None:
    """Pixels per unit across and down, and the unit, INCH or CENTIMETRE; None where the EXIF data have none."""
    try:
        order, entries = _first_directory(metadata.exif)
        unit = entries[RESOLUTION_UNIT].integers(order)[0] if RESOLUTION_UNIT in entries else INCH
        across, down = (_fraction(order, entries[tag]) for tag in (X_RESOLUTION, Y_RESOLUTION))
    except (ExifError, KeyError):
        return None
    return (across, down, unit) if unit in (INCH, CENTIMETRE) and min(across, down) > 0 else None


def with_orientation(exif: bytes | None, value: int) -> bytes | None:
    """EXIF data that say this orientation, 1 to 8; where they said none and it is 1, they stay as they are.

    Data that are damaged stay as they are.
    """
    if value == orientation(Metadata(exif=exif)):
        return exif
    if exif is None:
        return stream_of("<", {ORIENTATION: entry("<", SHORT, value)})
    try:
        order, _ = _first_directory(exif)
    except ExifError:
        return exif
    return _with_entries(exif, order, {ORIENTATION: entry(order, SHORT, value)})


def stripped(metadata: Metadata) -> Metadata:
    """What a picture needs to be seen as it is meant: its colour profile, and EXIF data of nothing but the orientation,
    if it is to be turned.
    """
    return Metadata(icc=metadata.icc, exif=with_orientation(None, orientation(metadata)))


def with_resolution(exif: bytes | None, across: Fraction, down: Fraction, unit: int) -> bytes:
    """EXIF data that say how many pixels there are to the unit; what they were before stays as it was, if it said so.

    Data that are damaged stay as they are.
    """
    if exif is None:
        return stream_of("<", _resolution_entries("<", across, down, unit))
    try:
        order, entries = _first_directory(exif)
    except ExifError:
        return exif
    if {X_RESOLUTION, Y_RESOLUTION} & set(entries):
        return exif
    return _with_entries(exif, order, _resolution_entries(order, across, down, unit))


def _first_directory(exif: bytes | None) -> tuple[str, dict[int, Entry]]:
    tags = Tags.of(BytesIO(exif or b""))
    if tags.big:
        raise ExifError("EXIF has offsets of 32 bits")
    return tags.order, tags.directory(tags.first)[0]


def _resolution_entries(order: str, across: Fraction, down: Fraction, unit: int) -> dict[int, Entry]:
    return {
        X_RESOLUTION: entry(order, RATIONAL, *across.limit_denominator(1000).as_integer_ratio()),
        Y_RESOLUTION: entry(order, RATIONAL, *down.limit_denominator(1000).as_integer_ratio()),
        RESOLUTION_UNIT: entry(order, SHORT, unit),
    }


def _with_entries(exif: bytes, order: str, added: dict[int, Entry]) -> bytes:
    """A new first directory behind the old data, of which nothing moves: makers' notes point into them."""
    start = struct.unpack_from(f"{order}I", exif, 4)[0]
    count = struct.unpack_from(f"{order}H", exif, start)[0]
    table = exif[start + 2 : start + 2 + 12 * count]
    old = {struct.unpack_from(f"{order}H", table, at)[0]: table[at : at + 12] for at in range(0, len(table), 12)}
    following = exif[start + 2 + 12 * count : start + 6 + 12 * count]
    body = exif + bytes(len(exif) % 2)
    heap_offset = len(body) + 2 + 12 * len(old.keys() | added.keys()) + 4
    heap = b""
    for tag, value in sorted(added.items()):
        content = value.content
        if len(content) > 4:
            content = struct.pack(f"{order}I", heap_offset + len(heap))
            heap += value.content + bytes(len(value.content) % 2)
        old[tag] = struct.pack(f"{order}HHI", tag, value.kind, value.count) + content.ljust(4, b"\0")
    new = struct.pack(f"{order}H", len(old)) + b"".join(old[tag] for tag in sorted(old)) + following + heap
    return _header(order, len(body)) + body[8:] + new


def _header(order: str, first: int) -> bytes:
    return (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, first)


def _fraction(order: str, value: Entry) -> Fraction:
    if value.kind != RATIONAL:
        return Fraction(value.integers(order)[0])
    numerator, denominator = struct.unpack(f"{order}II", value.content[:8])
    if not denominator:
        raise ExifError("a resolution over nothing")
    return Fraction(numerator, denominator)
