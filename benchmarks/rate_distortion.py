"""Quality against bits per pixel: bbmr with loss beside JPEG, WebP, AVIF and JPEG XL; tables, plots, BD-rates.

    python benchmarks/rate_distortion.py --data DIR --sets test2k test4k --out rd

DIR holds one folder of pictures for each set.  Every codec codes every picture at six or more settings; all bytes of
its files count.  What is measured is kept in OUT/points.jsonl, so that a run that was stopped goes on where it was, and
measured again where weights or a codec's version have changed; of other versions it stays there, and does not count.
A change of bbmr's code that changes its files has to be said in FILES below; before a run goes on, one point of each of
its kinds is measured anew, and has to be the same.
Tables and plots are made of the pictures that all codecs of the run have been measured on.

Where bbmr is measured at single scales too, a table says what each of its parts brings: AVIF's boxes left out, the
network, the best scale for each picture, a scale for each block.
"""

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, geometric_mean

import numpy as np
import PIL
import torch
from bjontegaard import bd_rate
from numpy.typing import ArrayLike, NDArray
from photos import find_sets
from PIL import Image
from rich.console import Console
from rich.progress import track
from scipy.interpolate import PchipInterpolator

from bbmr.coding.ladder import Rung
from bbmr.coding.options import CodedOptions
from bbmr.coding.sender import Sender, pipeline_for
from bbmr.evaluation.metrics import decibels, ms_ssim_y, psnr_rgb, psnr_y, ssim_y
from bbmr.evaluation.rivals import Rival, Samples, rivals
from bbmr.fileformat import decode, encode
from bbmr.imageio import read_picture
from bbmr.options import TUNES
from bbmr.picture import Picture
from bbmr.pipeline import restore
from bbmr.weights import weights_index

FILES = 5
"""To be raised where bbmr makes other files than before of the same pictures, options and weights."""
OWN_QUALITIES = (10, 20, 30, 35, 40, 45, 50, 60, 72, 85, 92)  # some 0.003 to 1 bpp
SINGLE_QUALITIES = {
    1: OWN_QUALITIES[2:],
    2: OWN_QUALITIES[1:-1],
    4: OWN_QUALITIES[:-2],
    8: OWN_QUALITIES[:-2],
    16: OWN_QUALITIES[:4],
}
"""Of those the ones that a scale all over has qualities of the codec for, and sense."""
OWN = "bbmr, psnr"
ANCHOR = "AVIF, psnr"
"""What BD-rates are against; where it is not measured, the first codec that is."""
OTHER_ANCHORS = ("AVIF, psnr, CDEF", "WebP", "JPEG")
BOX_BYTES = 275
"""Of an AVIF file around its frame."""
LOW_RATE = 0.15
"""Bits per pixel below which rescaling is expected to be of use."""
_LEAST_OVERLAP = 0.5
"""dB, or what a metric has, that two curves share, to be compared."""
_INTEGRATED = 201
"""Values at which curves are handed on to be integrated, each fitted to all its points."""
_EVEN = 0.001
"""Share of a file that two may differ by and count as of one size: curves between their points are not exact."""
METRICS = {"psnr_y": "PSNR-Y", "psnr_rgb": "PSNR-RGB", "ssim": "SSIM, dB", "ms_ssim": "MS-SSIM, dB"}


@dataclass(frozen=True)
class Point:
    """One picture by one codec, of a version, at one setting.  digest: of the picture's file.  bpp: all bytes over the
    pixels.
    """

    set: str
    picture: str
    digest: str
    codec: str
    version: str
    setting: float
    bpp: float
    psnr_y: float
    psnr_rgb: float
    ssim: float
    ms_ssim: float
    encode_seconds: float
    decode_seconds: float


class Own(Rival):
    """bbmr with loss; what is measured of the picture once serves one setting only, as for the others."""

    def __init__(self, tune: str, scales: tuple[int, ...] = CodedOptions.scales, title: str = "") -> None:
        self.name = title or f"bbmr, {tune}"
        self.settings = OWN_QUALITIES if len(scales) > 1 else SINGLE_QUALITIES[scales[0]]
        self._options = CodedOptions(quality=0, tune=tune, scales=scales)
        pipeline = pipeline_for(self._options)
        weights = "+".join(weights_index()[name].sha256[:16] for name in (*pipeline.networks, *pipeline.helper))
        self.version = f"{weights}, files {FILES}, Pillow {PIL.__version__}"  # which brings libaom

    def encode(self, colour: Samples, setting: float) -> bytes:
        sender = Sender(Picture(colour), self._options, pipeline_for(self._options))
        return encode(sender.at(Rung(int(setting))).rescaled)

    def decode(self, data: bytes) -> Samples:
        return restore(decode(data)).colour


def contenders() -> dict[str, Rival]:
    """All codecs, by name."""
    own = [*(Own(tune) for tune in TUNES), *(Own("psnr", (factor,), alone(factor)) for factor in SINGLE_QUALITIES)]
    return {codec.name: codec for codec in (*own, *rivals())}


def alone(factor: int) -> str:
    """The name of bbmr with one scale all over."""
    return f"bbmr, x{factor} alone"


def measure(set_name: str, path: Path, digest: str, codec: Rival, setting: float) -> Point:
    torch.set_num_threads(1)
    colour = read_picture(path).in_8_bit().colour
    colour = colour if colour.shape[2] == 3 else colour.repeat(3, 2)
    start = time.perf_counter()
    data = codec.encode(colour, setting)
    middle = time.perf_counter()
    restored = codec.decode(data)
    end = time.perf_counter()
    return Point(
        set_name,
        path.name,
        digest,
        codec.name,
        codec.version,
        setting,
        8 * len(data) / (colour.shape[0] * colour.shape[1]),
        psnr_y(restored, colour, border=0),
        psnr_rgb(restored, colour),
        decibels(ssim_y(restored, colour)),
        decibels(ms_ssim_y(restored, colour)),
        round(middle - start, 3),
        round(end - middle, 3),
    )


Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Rates in bits per pixel and values, rising in both."""


def curve(points: Sequence[Point], metric: str) -> Curve:
    """Of one picture by one codec; what a better setting does not improve is left out."""
    found: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda one: one.bpp):
        value = getattr(point, metric)
        if not found or value > found[-1][1]:
            if found and point.bpp == found[-1][0]:  # files that are padded to one size
                found.pop()
            found.append((point.bpp, value))
    rates, values = np.array(found).T
    return rates, values


def rates_at(line: Curve, values: ArrayLike) -> NDArray[np.float64]:
    """What a curve takes for values, as BD-rates have it between its points; NaN beyond them."""
    logs: NDArray[np.float64] = PchipInterpolator(line[1], np.log(line[0]), extrapolate=False)(values)
    return np.exp(logs)


def values_at(line: Curve, rates: ArrayLike) -> NDArray[np.float64]:
    """What a curve gives at rates; NaN beyond its points."""
    values: NDArray[np.float64] = PchipInterpolator(np.log(line[0]), line[1], extrapolate=False)(np.log(rates))
    return values


def between(ours: Curve, theirs: Curve, highest: float = np.inf) -> float:
    """BD-rate in percent against theirs, up to what they give at a rate; NaN where the two hardly overlap."""
    top = min(theirs[1][-1], ours[1][-1])
    if highest < theirs[0][-1]:
        top = float(np.minimum(top, values_at(theirs, highest)))  # NaN where they have nothing below
    bottom = max(theirs[1][0], ours[1][0])
    if not top - bottom >= _LEAST_OVERLAP or min(len(theirs[0]), len(ours[0])) < 3:
        return float("nan")
    values = np.linspace(bottom, top, _INTEGRATED)
    rates = rates_at(theirs, values), rates_at(ours, values)
    return float(bd_rate(rates[0], values, rates[1], values, method="pchip"))


def saved(points: Sequence[Point], anchor: Sequence[Point], metric: str, highest: float = np.inf) -> float:
    """As `between`, of points."""
    return between(curve(points, metric), curve(anchor, metric), highest)


def better(points: Sequence[Point], anchor: Sequence[Point], metric: str, highest: float) -> float:
    """What is gained on an anchor at equal rates, up to one, in the metric's units; NaN where they do not overlap."""
    ours, theirs = curve(points, metric), curve(anchor, metric)
    low, high = max(ours[0][0], theirs[0][0]), min(ours[0][-1], theirs[0][-1], highest)
    if low >= high:
        return float("nan")
    grid = np.geomspace(low, high, 52)[1:-1]  # inside both, whatever logarithms round to
    return float(np.mean(values_at(ours, grid) - values_at(theirs, grid)))


def best_of(curves: Sequence[Curve]) -> Curve:
    """The least rate of any of the curves at every value that one of them has."""
    grid = np.unique(np.concatenate([values for _, values in curves]))
    return np.fmin.reduce([rates_at(line, grid) for line in curves]), grid


def read(path: Path) -> list[Point]:
    """What was measured before; a line that was cut off is not."""
    points = []
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                points.append(Point(**json.loads(line)))
            except (ValueError, TypeError):
                continue
    return points


def is_cut_off(path: Path) -> bool:
    """Whether a file of lines ends within one."""
    text = path.read_text()
    return bool(text) and not text.endswith("\n")


def complete(points: Sequence[Point], codecs: Sequence[Rival]) -> dict[str, dict[str, list[Point]]]:
    """{picture: {codec: points}} of the pictures that every codec was measured on at all its settings."""
    found: dict[str, dict[str, list[Point]]] = defaultdict(lambda: defaultdict(list))
    for point in points:
        found[point.picture][point.codec].append(point)
    return {
        name: {codec.name: own[codec.name] for codec in codecs}
        for name, own in sorted(found.items())
        if all({point.setting for point in own.get(codec.name, ())} >= set(codec.settings) for codec in codecs)
    }


def table(pictures: Mapping[str, Mapping[str, list[Point]]], codecs: Sequence[Rival], anchor: str) -> str:
    """BD-rates against the anchor, means over the pictures, and seconds."""
    lines = [
        f"| BD-rate against {anchor} | PSNR-Y below {LOW_RATE} bpp | "
        + " | ".join(METRICS.values())
        + " | seconds to encode | to decode |",
        "| --- |" + " ---: |" * (len(METRICS) + 3),
    ]
    for codec in codecs:
        columns = [("psnr_y", LOW_RATE), *((metric, np.inf) for metric in METRICS)]
        cells = [codec.name]
        for metric, highest in columns:
            each = [saved(own[codec.name], own[anchor], metric, highest) for own in pictures.values()]
            cells.append(mean_of(each, "%"))
        points = [point for own in pictures.values() for point in own[codec.name]]
        cells += [f"{fmean(getattr(one, key) for one in points):.2f}" for key in ("encode_seconds", "decode_seconds")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def mean_of(values: Sequence[float], unit: str) -> str:
    """As a cell of a table: the mean of those that are known."""
    known = [value for value in values if not np.isnan(value)]
    less = "" if len(known) == len(values) else f" ({len(known)} of {len(values)})"
    return f"{fmean(known):+.1f} {unit}{less}" if known else ""


def table_against(pictures: Mapping[str, Mapping[str, list[Point]]], own: Sequence[Rival]) -> str:
    """BD-rates of ours below LOW_RATE against the codecs that people use, and what PSNR-RGB gains at equal bytes."""
    measured = set.intersection(*(set(one) for one in pictures.values()))
    anchors = [name for name in (ANCHOR, *OTHER_ANCHORS) if name in measured]
    lines = [
        f"| PSNR-Y below {LOW_RATE} bpp | {' | '.join(anchors)} | PSNR-RGB at {ANCHOR}'s bytes |",
        "| --- |" + " ---: |" * (len(anchors) + 1),
    ]
    for codec in own:
        cells = [
            mean_of([saved(one[codec.name], one[name], "psnr_y", LOW_RATE) for one in pictures.values()], "%")
            for name in anchors
        ]
        gains = [better(one[codec.name], one[ANCHOR], "psnr_rgb", LOW_RATE) for one in pictures.values()]
        lines.append(f"| {codec.name} | {' | '.join(cells)} | {mean_of(gains, 'dB')} |")
    return "\n".join(lines)


def table_of_pictures(pictures: Mapping[str, Mapping[str, list[Point]]]) -> str:
    """Of each picture the BD-rate of OWN against ANCHOR, and AVIF's bits per pixel at 36 dB: how busy it is."""
    lines = [
        f"| picture | {ANCHOR}: bpp at 36 dB | {OWN}: PSNR-Y below {LOW_RATE} bpp | PSNR-Y | PSNR-RGB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, one in pictures.items():
        busy = float(rates_at(curve(one[ANCHOR], "psnr_y"), 36))
        cells = [
            f"{saved(one[OWN], one[ANCHOR], metric, highest):+.1f} %"
            for metric, highest in (("psnr_y", LOW_RATE), ("psnr_y", np.inf), ("psnr_rgb", np.inf))
        ]
        lines.append(
            f"| {name} | {'' if np.isnan(busy) else f'{busy:.3f}'} | {' | '.join(cells)} |".replace("+nan %", "")
        )
    return "\n".join(lines)


def table_of_parts(pictures: Mapping[str, Mapping[str, list[Point]]], pixels: Mapping[str, int]) -> str:
    """BD-rates against ANCHOR, PSNR-Y, as the parts of bbmr come together; and whether any setting of OWN takes more
    bytes than the best single scale takes for its PSNR-Y.

    pixels: of each picture.
    """
    parts: dict[str, list[Curve]] = defaultdict(list)
    excess = []
    for name, one in pictures.items():
        rates, values = curve(one[ANCHOR], "psnr_y")
        singles = best_of([curve(one[alone(factor)], "psnr_y") for factor in SINGLE_QUALITIES])
        parts["AVIF without its boxes"].append((rates - 8 * BOX_BYTES / pixels[name], values))
        parts["scale 1 and the network"].append(curve(one[alone(1)], "psnr_y"))
        parts["the best scale for each picture"].append(singles)
        parts["a scale for each block"].append(ours := curve(one[OWN], "psnr_y"))
        needed = rates_at(singles, ours[1])
        excess += (ours[0] / needed - 1)[~np.isnan(needed)].tolist()
    lines = [f"| BD-rate against {ANCHOR}, PSNR-Y | below {LOW_RATE} bpp | all |", "| --- | ---: | ---: |"]
    anchors = [curve(one[ANCHOR], "psnr_y") for one in pictures.values()]
    for title, curves in parts.items():
        pairs = list(zip(curves, anchors, strict=True))
        cells = [mean_of([between(*pair, highest) for pair in pairs], "%") for highest in (LOW_RATE, np.inf)]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Bytes of {OWN} over those of the best single scale at equal PSNR-Y, at {len(excess)} settings: "
        f"{100 * fmean(excess):+.1f} % on average, {100 * max(excess):+.1f} % at the worst, more "
        f"than {_EVEN:.1%} more at {sum(value > _EVEN for value in excess)}.",
    ]
    return "\n".join(lines)


def mean_points(pictures: Mapping[str, Mapping[str, list[Point]]], codec: Rival) -> list[Point]:
    """Of each setting of a codec the means over the pictures, geometric of bits per pixel."""
    means = []
    for setting in codec.settings:
        points = [point for own in pictures.values() for point in own[codec.name] if point.setting == setting]
        means.append(
            replace(
                points[0],
                bpp=geometric_mean(point.bpp for point in points),
                psnr_y=fmean(point.psnr_y for point in points),
                psnr_rgb=fmean(point.psnr_rgb for point in points),
                ssim=fmean(point.ssim for point in points),
                ms_ssim=fmean(point.ms_ssim for point in points),
            )
        )
    return means


def table_of_settings(pictures: Mapping[str, Mapping[str, list[Point]]], codecs: Sequence[Rival]) -> str:
    """`mean_points` of all codecs."""
    lines = [
        f"| | setting | bpp | {' | '.join(METRICS.values())} |",
        "| --- | ---: | ---: |" + " ---: |" * len(METRICS),
    ]
    for codec in codecs:
        for point in mean_points(pictures, codec):
            values = " | ".join(f"{getattr(point, metric):.2f}" for metric in METRICS)
            lines.append(f"| {codec.name} | {point.setting:g} | {point.bpp:.4f} | {values} |")
    return "\n".join(lines)


def plot(pictures: Mapping[str, Mapping[str, list[Point]]], codecs: Sequence[Rival], title: str, path: Path) -> None:
    """`mean_points` of all codecs, rates on a logarithmic axis."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(1, 2, figsize=(13, 5.5), layout="constrained")
    for axis, metric in zip(axes, ("psnr_y", "ms_ssim"), strict=True):
        for codec in codecs:
            points = mean_points(pictures, codec)
            style = "o-" if codec.name.startswith("bbmr") else "o--"
            values = [getattr(point, metric) for point in points]
            axis.plot([point.bpp for point in points], values, style, label=codec.name, linewidth=1.4, markersize=3)
        axis.set_xscale("log")
        axis.set_xticks([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1], labels=["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1"])
        axis.minorticks_off()
        axis.set_xlabel("bits per pixel, geometric mean of each setting")
        axis.set_ylabel(METRICS[metric])
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.suptitle(title)
    figure.savefig(path)
    pyplot.close(figure)


def run(
    sets: Mapping[str, list[Path]], codecs: Sequence[Rival], out: Path, jobs: int, say: Callable[[str], None]
) -> None:
    """Measure what is missing, then write report.md and the plots."""
    out.mkdir(parents=True, exist_ok=True)
    log = out / "points.jsonl"
    versions = {codec.name: codec.version for codec in codecs}
    points = [point for point in read(log) if versions.get(point.codec, point.version) == point.version]
    known = {(point.digest, point.codec, point.setting) for point in points}
    digests = {path: sha256(path.read_bytes()).hexdigest()[:16] for paths in sets.values() for path in paths}
    check_known(points, {digest: path for path, digest in digests.items()}, codecs)
    missing = [
        (name, path, digests[path], codec, setting)
        for name, paths in sets.items()
        for path in paths
        for codec in codecs
        for setting in codec.settings
        if (digests[path], codec.name, setting) not in known
    ]
    with log.open("a") as file:
        file.write("\n" if is_cut_off(log) else "")
        for point in track(_measured(missing, jobs), "measure", len(missing), console=Console(stderr=True)):
            points.append(point)
            file.write(json.dumps(asdict(point)) + "\n")
            file.flush()
    parts = []
    for name, paths in sets.items():
        wanted = {digests[path] for path in paths}
        pictures = complete([point for point in points if point.digest in wanted], codecs)
        if not pictures:
            continue
        plot(pictures, codecs, f"{name}, pictures: {len(pictures)}", out / f"{name}.svg")
        parts.append(f"## {name}, pictures: {len(pictures)}\n\n![{name}]({name}.svg)")
        anchor = next((codec.name for codec in codecs if codec.name == ANCHOR), codecs[0].name)
        parts.append(table(pictures, codecs, anchor))
        names = {codec.name for codec in codecs}
        if ANCHOR in names:
            own = [codec for codec in codecs if isinstance(codec, Own)]
            parts += [table_against(pictures, own)] if own else []
            parts += [table_of_pictures(pictures)] if OWN in names else []
            if names >= {OWN, *map(alone, SINGLE_QUALITIES)}:
                sizes = {path.name: pixels_of(path) for path in paths}
                parts.append(table_of_parts(pictures, sizes))
        parts.append(table_of_settings(pictures, codecs))
    (out / "report.md").write_text("\n\n".join(parts) + "\n")
    say("\n\n".join(parts))


_SAME = 0.005
"""Decibels that the rounding of other processors may account for."""


def check_known(points: Sequence[Point], paths: Mapping[str, Path], codecs: Sequence[Rival]) -> None:
    """Measure one point of each of our codecs anew, whichever.  paths: of pictures by digest.  Raises SystemExit where
    it takes other bits than are known, or is restored otherwise.
    """
    for codec in codecs:
        known = [point for point in points if point.codec == codec.name and point.digest in paths]
        if not isinstance(codec, Own) or not known:
            continue
        old = random.choice(known)
        new = measure(old.set, paths[old.digest], old.digest, codec, old.setting)
        if new.bpp != old.bpp or abs(new.psnr_y - old.psnr_y) > _SAME or abs(new.psnr_rgb - old.psnr_rgb) > _SAME:
            raise SystemExit(
                f"{codec.name} makes {new.bpp:.5f} bpp, {new.psnr_y:.3f} dB of {old.picture} at {old.setting:g}, and "
                f"made {old.bpp:.5f} bpp, {old.psnr_y:.3f} dB when it was measured: raise FILES in "
                "benchmarks/rate_distortion.py, so that all is measured again"
            )


def pixels_of(path: Path) -> int:
    with Image.open(path) as image:
        return image.width * image.height


def _measured(tasks: Sequence[tuple[str, Path, str, Rival, float]], jobs: int) -> Iterator[Point]:
    if jobs == 1:
        yield from (measure(*task) for task in tasks)
        return
    # A fork would copy torch's threads in whatever state they are.
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for done in as_completed([pool.submit(measure, *task) for task in tasks]):
            yield done.result()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--sets", nargs="+", default=["test2k", "test4k"], help="folders of pictures in it")
    parser.add_argument("--limit", type=int, help="take only the first N pictures of each set")
    parser.add_argument("--out", type=Path, default=Path("rd"), help="folder of what is measured")
    parser.add_argument("--jobs", "-j", type=int, default=1, help="processes; seconds are those of one alone with 1")
    known = contenders()
    parser.add_argument("--only", nargs="+", choices=list(known), metavar="CODEC", help=", ".join(known))
    options = parser.parse_args(arguments)
    codecs = [known[name] for name in options.only or known]
    run(find_sets(options.data, options.sets, options.limit), codecs, options.out, options.jobs, print)


if __name__ == "__main__":
    main()
