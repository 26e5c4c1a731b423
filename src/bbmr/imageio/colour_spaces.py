"""Colour spaces that files name by numbers, as ICC profiles, which every picture format can carry.

The numbers are those of ITU-T H.273; the profiles are of a matrix and a curve (ICC.1:2022), adapted to D50.
"""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
"""CIE 1931 x and y."""
Curve = tuple[float, ...]
"""A gamma; or gamma, a, b, c, d of an ICC parametric curve of type 3: (a x + b)^gamma from d on, below it c x."""
D65: Point = (0.3127, 0.3290)
SRGB_TRANSFER = 13
_UNSPECIFIED = 2

PRIMARIES: dict[int, tuple[str, tuple[Point, Point, Point]]] = {
    1: ("BT.709", ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))),
    5: ("BT.601, 625 lines", ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060))),
    6: ("BT.601, 525 lines", ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070))),
    9: ("BT.2020", ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))),
    12: ("Display P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))),
}
_SRGB = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
CURVES: dict[int, tuple[str, Curve]] = {
    4: ("gamma 2.2", (2.2,)),
    5: ("gamma 2.8", (2.8,)),
    8: ("linear", (1.0,)),
    17: ("gamma 2.6", (2.6,)),
    SRGB_TRANSFER: ("sRGB", _SRGB),
}
# Meant for cameras: pictures that say so were hardly ever coded so, and are shown as sRGB.
_SHOWN_AS_SRGB = frozenset((1, _UNSPECIFIED, 6, 14, 15))
_HDR = {16: "PQ", 18: "HLG"}
_D50 = np.array((0.9642, 1.0, 0.8249))
_BRADFORD = np.array(((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296)))


def coded_profile(primaries: int, transfer: int, gray: bool = False) -> tuple[bytes | None, tuple[str, ...]]:
    """An ICC profile that says what two numbers say, none for sRGB, and what is to be said where no profile can."""
    transfer = SRGB_TRANSFER if transfer in _SHOWN_AS_SRGB else transfer
    primaries = 1 if primaries == _UNSPECIFIED else primaries
    if transfer not in CURVES or primaries not in PRIMARIES:
        space = PRIMARIES[primaries][0] if primaries in PRIMARIES else f"of primaries {primaries}"
        curve = _HDR.get(transfer, str(transfer))
        return None, (f"its colours, {space} with transfer function {curve}, are not kept: it will look wrong",)
    if transfer == SRGB_TRANSFER and primaries in (1, 5, 6):  # the three are as good as one
        return None, ()
    (space, points), (curve, parameters) = PRIMARIES[primaries], CURVES[transfer]
    return profile(f"{space}, {curve}", None if gray else points, parameters), ()


def profile(name: str, primaries: Sequence[Point] | None, curve: Curve, white: Point = D65) -> bytes:
    """primaries: of red, green and blue, or None for gray.  Raises numpy.linalg.LinAlgError or ZeroDivisionError for
    points that make no colours.
    """
    adaptation = _to_d50(white)
    matrix = b"sf32" + bytes(4) + struct.pack(">9i", *_fixed(adaptation.ravel().tolist()))
    tags = {b"desc": _words(name), b"cprt": _words("none"), b"wtpt": _xyz(_D50), b"chad": matrix}
    if primaries is None:
        tags[b"kTRC"] = _curve(curve)
    else:
        columns = np.array([_from_xy(point) for point in primaries]).T
        columns = adaptation @ (columns * np.linalg.solve(columns, _from_xy(white)))
        for letter, column in zip(b"rgb", columns.T, strict=True):
            tags[bytes((letter,)) + b"XYZ"] = _xyz(column)
            tags[bytes((letter,)) + b"TRC"] = _curve(curve)
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    space = b"GRAY" if primaries is None else b"RGB "
    head = bytes(8) + b"\x04\x20\0\0" + b"mntr" + space + b"XYZ "
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _xyz(_D50)[8:]
    whole = head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", len(whole)) + whole[4:]


def _to_d50(white: Point) -> NDArray[np.float64]:
    """XYZ where `white` is white -> XYZ that looks the same where D50 is."""
    gains = (_BRADFORD @ _D50) / (_BRADFORD @ _from_xy(white))
    matrix: NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ (gains[:, None] * _BRADFORD)
    return matrix


def _from_xy(point: Point) -> NDArray[np.float64]:
    x, y = point
    return np.array((x / y, 1.0, (1 - x - y) / y))


def _words(text: str) -> bytes:
    content = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(content), 28) + content


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *_fixed(values.tolist()))


def _curve(parameters: Curve) -> bytes:
    kind = 0 if len(parameters) == 1 else 3
    return b"para" + bytes(4) + struct.pack(f">HH{len(parameters)}i", kind, 0, *_fixed(parameters))


def _fixed(values: Sequence[float]) -> list[int]:
    return [round(65536 * value) for value in values]
