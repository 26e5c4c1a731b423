"""The plots of a report, as SVG text."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bbmr.evaluation.report.classes import Thresholds, earned_and_paid
from bbmr.extras import from_extra

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.container import Container

_Entry = tuple[str, "Artist | Container"]
"""Of a legend: label and what it stands for."""
_STYLE: Any = {
    "svg.fonttype": "none",  # words stay words
    "svg.hashsalt": "bbmr",  # the same data, the same file
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
}
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Distinct for all common forms of colour blindness (Okabe & Ito 2008)."""
_SHAPES = "o^vDPX*<>hd"
_BINS = [half / 2 for half in range(-8, 33)]  # dB


def histogram(psnr: NDArray[np.float64], thresholds: Thresholds) -> str:
    """What blocks gain from x4 to x2 and lose from x4 to x8, and where the classes of table 1 part.

    psnr: (3, blocks) in dB.
    """
    earned, paid = earned_and_paid(psnr)

    def draw(axes: "Axes") -> None:
        entries: list[_Entry] = []
        for values, label, line, colour in (
            (paid, "lost from x4 to x8", thresholds.simple_below, _COLOURS[0]),
            (earned, "gained from x4 to x2", thresholds.hard_above, _COLOURS[1]),
        ):
            percent = np.full(values.shape, 100 / max(1, values.size))
            clipped = values.clip(_BINS[0], _BINS[-1])
            axes.hist(clipped, _BINS, weights=percent, alpha=0.55, color=colour)
            entries.append((label, axes.containers[-1]))
            axes.axvline(line, color=colour, linestyle="--", linewidth=1)
        axes.set_xlabel("PSNR-Y of a block, dB (dashed: simple below, hard above)")
        axes.set_ylabel("% of the blocks")
        _add_legend(axes, entries)

    return _svg(7, 3.2, draw)


def lines(series: Mapping[str, Sequence[float | None]], ticks: Sequence[str], across: str, up: str) -> str:
    """One line for each series, a point for each tick; points that are not there are left out."""

    def draw(axes: "Axes") -> None:
        entries: list[_Entry] = []
        for (name, values), colour in zip(series.items(), _cycled(len(series)), strict=True):
            points = [np.nan if value is None else value for value in values]
            entries.append((name, axes.plot(range(len(ticks)), points, marker="o", color=colour)[0]))
        axes.set_xticks(range(len(ticks)), map(_literal, ticks))
        axes.set_xlabel(_literal(across))
        axes.set_ylabel(_literal(up))
        _add_legend(axes, entries, fontsize=8)

    return _svg(7, 3.6, draw)


def strips(gains: Mapping[str, Sequence[float]], along: str) -> str:
    """One strip for each name: a dot for each picture, a bar at the mean."""

    def draw(axes: "Axes") -> None:
        for place, (values, colour) in enumerate(zip(gains.values(), _cycled(len(gains)), strict=True)):
            axes.plot(values, [place] * len(values), "o", color=colour, alpha=0.45, markersize=5, markeredgewidth=0)
            if values:
                axes.plot([np.mean(values)] * 2, [place - 0.3, place + 0.3], color=colour, linewidth=2.5)
        axes.set_yticks(range(len(gains)), map(_literal, gains))
        axes.set_ylim(len(gains) - 0.5, -0.5)
        axes.axvline(0, color="#000000", linewidth=0.8)
        axes.set_xlabel(_literal(along))

    return _svg(9, 0.8 + 0.34 * len(gains), draw)


def scatter(points: Mapping[str, Mapping[str, tuple[float, float]]], across: str, up: str) -> str:
    """Points (x, y) by group and name: a colour for each group, a shape for each name."""
    names = list(dict.fromkeys(name for named in points.values() for name in named))
    shapes = {name: _SHAPES[index % len(_SHAPES)] for index, name in enumerate(names)}
    colours = dict(zip(points, _cycled(len(points)), strict=True))

    def draw(axes: "Axes") -> None:
        for group, named in points.items():
            for name, place in named.items():
                axes.plot(*place, shapes[name], color=colours[group], markersize=7, alpha=0.85)
        # The two legends in one: what colours mean, then what shapes do.
        entries: list[_Entry] = [
            *((group, axes.plot([], [], "s", color=colour)[0]) for group, colour in colours.items()),
            *((name, axes.plot([], [], shape, color="#777777")[0]) for name, shape in shapes.items()),
        ]
        axes.set_xlabel(_literal(across))
        axes.set_ylabel(_literal(up))
        _add_legend(axes, entries, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))

    return _svg(10, 4.6, draw)


def _literal(text: str) -> str:
    """Text as matplotlib takes it to show just that, and no formula; a question mark for what XML may not hold."""
    printable = "".join(letter if letter.isprintable() else "?" for letter in text)
    return printable.replace("$", r"\$")


def _add_legend(axes: "Axes", entries: Sequence["_Entry"], **options: Any) -> None:
    """With whatever labels: matplotlib itself passes over those that begin with an underscore."""
    legend = axes.legend([handle for _, handle in entries], [str(index) for index in range(len(entries))], **options)
    for text, (label, _) in zip(legend.get_texts(), entries, strict=True):
        text.set_text(_literal(label))


def _cycled(count: int) -> list[str]:
    return [_COLOURS[index % len(_COLOURS)] for index in range(count)]


def _svg(width: float, height: float, draw: Callable[["Axes"], None]) -> str:
    """Draw on axes of so many inches; without a screen, and without pyplot, which keeps what it has drawn."""
    with from_extra("evaluate"):
        from matplotlib import rc_context  # noqa: PLC0415  # matplotlib is an extra
        from matplotlib.figure import Figure  # noqa: PLC0415
    with rc_context(_STYLE):
        figure = Figure((width, height), layout="constrained")
        draw(figure.add_subplot())
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
