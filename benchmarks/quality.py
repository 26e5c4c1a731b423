"""What each part of the system is worth: a table like the paper's table 5, one row for each system and test set.

    python benchmarks/quality.py --data DIR --sets test2k test4k --out quality.md

With `--network omnisr` (or `craft`) the rows are those of that network, beside the best of `fast`: whole pictures,
separate blocks, Joint SR without and with deblocking, as the paper has it and with context, and the mosaic; those whose
weights are missing are named and left out.  Joint SR is given the maps of separate blocks, so that the two restore the
same samples.  `--network downnet-fast` (`downnet-omnisr`, ...) has the same on the LR planes of Down-Nets, those of
Joint SR its own.

With `--efforts 2 5 8` the rows are instead those of whole pictures and of the mosaic, on bicubic LR planes and on
Down-Nets', as they are and with their samples refined for as long; with `--budgets x3 x6` each for these budgets.

DIR holds one folder of pictures for each set.  Every system stores at most the LR pixels of a uniform x4, or those of
`--budgets`; its file is really written and read back.  The network's own distortions are measured once for each picture
and shared by the rows that go by them; each of these is charged the seconds they took.  Results are kept picture by
picture in a cache (JSON lines), so a run that was stopped goes on where it was; the key is the picture's SHA-256, the
system's name, and the SHA-256 of its weights.  After changes to the code, not the weights, give another cache.  Seconds
are wall-clock: run it on an idle machine.
"""

import argparse
import csv
import hashlib
import io
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bbmr.allocation.budget import Budget
from bbmr.allocation.corrected import FALLBACK, SUFFIX, is_fitted
from bbmr.blocks import PAPER_SCALES, SCALES, BlockGrid, merge, stitch
from bbmr.catalogue import find_pipeline, find_sender
from bbmr.downscaling.bicubic import upscale
from bbmr.errors import BbmrError
from bbmr.evaluation.metrics import block_edge_ratio, decibels, ms_ssim_y, psnr_rgb, psnr_y, ssim_y
from bbmr.fileformat import load, save, sections
from bbmr.imageio import READ_SUFFIXES, read_picture
from bbmr.networks.joint import BAND, CONTEXT, JointSR
from bbmr.options import (
    BICUBIC_MOSAIC,
    EFFORTS,
    LEARNED,
    PIPELINE_CHOICES,
    PLAIN_PIPELINE,
    SR_FAMILIES,
    TUNES,
    Options,
)
from bbmr.picture import Picture
from bbmr.pipeline import compress, compress_uniform, measure_distortion, restore
from bbmr.rescaled import RescaledImage
from bbmr.samples import to_samples, to_tensor
from bbmr.upscaling.joint import JointUpscaler
from bbmr.weights import load_weights, weights_index

NETWORKS = ("fast", *SR_FAMILIES, *(LEARNED + name for name in ("fast", *SR_FAMILIES)))
DISTORTIONS = ("corrected", "bicubic", "network")
YARDSTICK = "plain x4"

Row = dict[str, str | float]
"""One line of the summary: a system on a set of pictures."""


@dataclass(frozen=True)
class System:
    """One row of the table.  `weights`: the SHA-256 of whatever was fitted and decides the result."""

    name: str
    compress: Callable[..., RescaledImage]
    """Takes a Picture, and `errors` where `options` go by the network's own distortions."""
    restore: Callable[[RescaledImage], Picture]
    weights: str
    pipeline: str
    options: Options | None = None
    tune: str = ""
    measured_by: str = ""
    """The pipeline whose network measures the distortions, where it is not `pipeline` itself."""

    @property
    def distortion(self) -> str:
        return self.options.distortion if self.options else ""

    @property
    def key(self) -> str:
        """Name the system in the cache."""
        return ", ".join(part for part in (self.name, self.distortion, self.tune) if part)


@dataclass(frozen=True)
class Measurement:
    """One system on one picture.  Shares and bits are per HR pixel; seconds include writing and reading the file."""

    lr_share: float
    map_bits: float
    file_bits: float
    psnr_y: float
    psnr_rgb: float
    ssim: float
    ms_ssim: float
    edge_ratio: float
    seconds_compress: float
    seconds_restore: float

    @property
    def ms_ssim_db(self) -> float:
        return decibels(self.ms_ssim)


Results = Mapping[System, Mapping[str, Measurement]]
"""Of one set of pictures: every system on every picture, by file name."""


def systems(quick: bool, network: str = "fast") -> list[System]:
    """What each step is worth: all rows of a network, the yardsticks first."""
    family = network.removeprefix(LEARNED)
    learned = network[: -len(family)]
    if family == "fast":
        return yardsticks() + fast_systems(quick, learned)
    return yardsticks() + family_systems(family, learned)


def yardsticks() -> list[System]:
    """bicubic, plain x4 and the mosaic weights on the uniform map."""
    bicubic = partial(compress_uniform, factor=4, pipeline=PLAIN_PIPELINE)
    return [
        System("bicubic x4", bicubic, restore_bicubic, "none", PLAIN_PIPELINE),
        uniform(YARDSTICK, PLAIN_PIPELINE),
        uniform("mosaic weights, uniform x4", BICUBIC_MOSAIC),
    ]


def fast_systems(quick: bool, learned: str = "") -> list[System]:
    """What each step from Algorithm 1 to the default is worth; learned: LEARNED for the LR planes of Down-Nets."""
    pipeline = learned + BICUBIC_MOSAIC
    rows = []
    if learned:
        rows.append(uniform(f"{learned}fast, plain x4", learned + PLAIN_PIPELINE))
        rows.append(uniform(f"{learned}fast, mosaic weights, uniform x4", pipeline))
    for distortion in ("network",) if quick else DISTORTIONS:
        # Algorithm 1 goes by the PSNR of blocks; there is nothing to tune.
        options = Options(block=128, scales=PAPER_SCALES, distortion=distortion, allocator="greedy", pipeline=pipeline)
        rows.append(allocating(f"{_of(learned, 'fast')}Algorithm 1", options, tune=""))
    for block, scales in ((128, PAPER_SCALES), *((block, SCALES) for block in (128, 64, 32, 16))):
        for distortion in DISTORTIONS:
            for tune in TUNES:
                # The default's neighbours, and one change at a time from Algorithm 1 to it.
                if not quick or block == 16 or (distortion, tune) == ("corrected", "psnr"):
                    options = Options(block=block, scales=scales, distortion=distortion, tune=tune, pipeline=pipeline)
                    rows.append(allocating(f"{_of(learned, 'fast')}least squared error", options, tune))
    return rows


def _of(learned: str, network: str) -> str:
    """What the names of rows on learned LR planes begin with."""
    return f"{learned}{network}, " if learned else ""


def family_systems(family: str, learned: str = "") -> list[System]:
    """As in the paper's table 5, then what is this project's: the other allocator, and the mosaic."""
    title = learned + SR_FAMILIES[family]
    plain, separate, joint, mosaic = (f"{learned}{kind}-{family}" for kind in ("plain", "separate", "joint", "mosaic"))
    present = {pipeline for pipeline in (plain, separate, joint, mosaic) if has_weights(pipeline)}
    best = Options(distortion="network", tune="psnr", pipeline=BICUBIC_MOSAIC)
    rows = [allocating("least squared error", best, "psnr")]
    if plain in present:
        rows.append(uniform(f"{title}, plain x4", plain))
    if separate in present:
        rows.append(uniform(f"{title}, uniform x4, separate", separate))
    for allocator, name in (("greedy", "Algorithm 1"), ("optimal", "least squared error")):
        tune = "" if allocator == "greedy" else "psnr"
        chosen = partial(Options, distortion="network", allocator=allocator, tune="psnr")
        if separate in present:
            rows.append(allocating(f"{title}, {name}, separate", chosen(pipeline=separate), tune))
        if joint in present:
            row = allocating(f"{title}, {name}, Joint SR", chosen(pipeline=joint), tune)
            if separate in present and not learned:  # whose Down-Nets make other planes
                row = replace(row, measured_by=separate)
            for band, context in ((0, 0), (BAND, 0), (BAND, CONTEXT)):
                how = partial(restore_joint, band=band, context=context)
                rows.append(replace(row, name=f"{row.name}, band {band}, context {context}", restore=how))
    if mosaic in present:
        chosen = partial(Options, distortion="network", tune="psnr", pipeline=mosaic)
        for options in (chosen(block=128, scales=PAPER_SCALES), chosen()):
            rows.append(allocating(f"{title}, least squared error, mosaic", options, "psnr"))
    return rows


def refined_systems(network: str, efforts: Sequence[int], budgets: Sequence[str]) -> list[System]:
    """Whole pictures and the mosaic, on both kinds of LR planes, with their samples refined and not."""
    rows = yardsticks()[:2]
    family = network.removeprefix(LEARNED)
    plain = PLAIN_PIPELINE if family == "fast" else f"plain-{family}"
    for learned in ("", LEARNED):
        for name, kind in ((learned + plain, "plain x4"), (f"{learned}mosaic-{family}", "mosaic")):
            if not has_weights(name):
                continue
            for effort in (0, *efforts):
                row = f"{learned}{family}, {kind}, effort {effort}"
                if kind == "plain x4":
                    rows.append(uniform(row, name, effort))
                    continue
                for budget in budgets:
                    for tune in TUNES:
                        options = Options(pipeline=name, tune=tune, effort=effort, budget=Budget(budget))
                        rows.append(allocating(f"{row}, budget {budget}", options, tune))
    return rows


def has_weights(pipeline: str) -> bool:
    """Whether the pipeline can run here; says so where it cannot."""
    try:
        find_sender(pipeline)
    except BbmrError as error:
        print(f"left out: {error}", file=sys.stderr)
        return False
    return True


def uniform(name: str, pipeline: str, effort: int = 0) -> System:
    compress_x4 = partial(compress_uniform, factor=4, pipeline=pipeline, effort=effort)
    return System(name, compress_x4, restore, hash_of_weights(pipeline), pipeline)


def hash_of_weights(pipeline: str) -> str:
    """SHA-256 of all that the pipeline's result depends on, but for the code."""
    found = find_pipeline(pipeline)
    return " ".join([found.weights_sha256, *(weights_index()[name].sha256 for name in found.filters)])


def allocating(allocator: str, options: Options, tune: str) -> System:
    name = f"{allocator}, {options.block}, {{{', '.join(map(str, options.scales))}}}"
    weights = hash_of_weights(options.pipeline)
    if options.distortion == "corrected":
        fitted = find_pipeline(options.pipeline).weights
        file = (fitted if is_fitted(fitted) else FALLBACK) + SUFFIX
        correction = files("bbmr.weights").joinpath(file).read_bytes()
        weights = f"{weights} {hashlib.sha256(correction).hexdigest()}"
    return System(name, partial(compress, options=options), restore, weights, options.pipeline, options, tune)


def restore_joint(rescaled: RescaledImage, band: int, context: int) -> Picture:
    """Joint SR with another band, where 0 leaves deblocking out, and LR samples of its neighbours around each block."""
    descriptor = load_weights(rescaled.recipe.weights)
    network = copy(descriptor.network)
    assert isinstance(network, JointSR)
    network.band, network.context = band, context
    return Picture(JointUpscaler(replace(descriptor, network=network)).restore(rescaled))


def restore_bicubic(rescaled: RescaledImage) -> Picture:
    """The LR plane of a uniform x4, enlarged by MATLAB's bicubic."""
    grid = rescaled.grid
    plane = stitch(rescaled.blocks[4].reshape(grid.rows, grid.cols, *rescaled.blocks[4].shape[1:]), grid, 4)
    return Picture(to_samples(upscale(to_tensor(plane), 4))[: grid.height, : grid.width])


class NetworkDistortion:
    """The network's own distortions of one picture: measured when a pipeline first asks for them, on its smallest
    blocks, whose errors add up to those of larger ones."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._errors: dict[str, NDArray[np.float64]] = {}
        self.seconds: dict[str, float] = {}

    def errors(self, options: Options, measured_by: str) -> NDArray[np.float64]:
        """Those of the network of the pipeline `measured_by`, for the blocks and scales of `options`."""
        choice = PIPELINE_CHOICES[measured_by]
        smallest = min(choice.blocks)
        if measured_by not in self._errors:
            pipeline = find_sender(measured_by).suited_to(self._picture)
            grid = BlockGrid(self._picture.height, self._picture.width, smallest)
            planes = pipeline.downscaler(self._picture.colour, choice.scales)  # charged to each row as it compresses
            start = time.perf_counter()
            errors = measure_distortion(self._picture, planes, grid, "network", pipeline, choice.scales)
            self._errors[measured_by] = errors
            self.seconds[measured_by] = time.perf_counter() - start
        rows = [choice.scales.index(factor) for factor in sorted(options.scales)]
        return merge(self._errors[measured_by][rows], options.block // smallest)


def measure(system: System, picture: Picture, network: NetworkDistortion) -> Measurement:
    known, charged = {}, 0.0
    if system.options and system.options.distortion == "network":
        measured_by = system.measured_by or system.pipeline
        known = {"errors": network.errors(system.options, measured_by)}
        charged = network.seconds[measured_by]
    with TemporaryDirectory() as folder:
        path = Path(folder, "picture.bbmr")
        start = time.perf_counter() - charged
        save(system.compress(picture, **known), path)
        compressed = time.perf_counter()
        rescaled = load(path)
        restored = system.restore(rescaled).colour
        end = time.perf_counter()
        file_bytes, map_bytes = path.stat().st_size, sections(path)["scale map"]
    pixels = picture.height * picture.width
    return Measurement(
        lr_share=rescaled.lr_pixels / pixels,
        map_bits=8 * map_bytes / pixels,
        file_bits=8 * file_bytes / pixels,
        psnr_y=psnr_y(restored, picture.colour),
        psnr_rgb=psnr_rgb(restored, picture.colour),
        ssim=ssim_y(restored, picture.colour),
        ms_ssim=ms_ssim_y(restored, picture.colour),
        edge_ratio=block_edge_ratio(restored, picture.colour, rescaled.grid.side),
        seconds_compress=compressed - start,
        seconds_restore=end - compressed,
    )


class Cache:
    """Measurements that outlive a run: JSON lines, each written as soon as it is known."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[tuple[str, str, str], Measurement] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text("utf-8") if path.exists() else ""
        if text and not text.endswith("\n"):  # a run was stopped in the midst of its last line
            text = text[: text.rfind("\n") + 1]
            path.write_text(text, "utf-8")
        for line in text.splitlines():
            entry = json.loads(line)
            self._known[entry["picture"], entry["system"], entry["weights"]] = Measurement(**entry["measured"])

    def find(self, picture: str, system: System) -> Measurement | None:
        return self._known.get((picture, system.key, system.weights))

    def add(self, picture: str, system: System, measured: Measurement) -> None:
        self._known[picture, system.key, system.weights] = measured
        entry = {"picture": picture, "system": system.key, "weights": system.weights, "measured": asdict(measured)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def measure_all(
    sets: Mapping[str, Sequence[Path]], rows: Sequence[System], cache: Cache, console: Console
) -> Mapping[str, Results]:
    results: dict[str, dict[System, dict[str, Measurement]]] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("", total=len(rows) * sum(map(len, sets.values())))
        for name, paths in sets.items():
            results[name] = {row: {} for row in rows}
            for path in paths:
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                picture: Picture | None = None
                network: NetworkDistortion | None = None
                for row in rows:
                    progress.update(task, description=f"{path.name}: {row.key}")
                    measured = cache.find(digest, row)
                    if measured is None:
                        picture = picture or read_picture(path)
                        network = network or NetworkDistortion(picture)
                        measured = measure(row, picture, network)
                        cache.add(digest, row, measured)
                    results[name][row][path.name] = measured
                    progress.advance(task)
    return results


NAMING = (("system", "system", ""), ("distortion", "distortion by", ""), ("tune", "tune", ""))
MEANS = (
    ("lr_share", "LR pixels", ".5f"),
    ("map_bits", "map bits", ".4f"),
    ("file_bits", "file bits", ".3f"),
    ("psnr_y", "PSNR-Y (paper)", ".2f"),
    ("psnr_rgb", "PSNR-RGB (honest)", ".2f"),
    ("ssim", "SSIM", ".4f"),
    ("ms_ssim", "MS-SSIM", ".5f"),
    ("ms_ssim_db", "MS-SSIM, dB", ".2f"),
    ("edge_ratio", "edge error", ".3f"),
    ("seconds_compress", "compress, s", ".1f"),
    ("seconds_restore", "restore, s", ".1f"),
)
"""What is averaged over the pictures: attribute of Measurement, heading, format."""
COMPARED = (("psnr_y", "PSNR-Y", ".2f"), ("ssim", "SSIM", ".4f"), ("ms_ssim_db", "MS-SSIM, dB", ".2f"))
"""What is compared with the yardstick, picture by picture."""


def summarise(name: str, results: Results) -> list[Row]:
    """Means over the pictures, and gains over plain x4: mean, standard error of the mean, worst picture."""
    summary: list[Row] = []
    yardstick = next(measured for system, measured in results.items() if system.name == YARDSTICK)
    for system, measured in results.items():
        row: Row = {"set": name, "pictures": len(measured), "system": system.name}
        row |= {"distortion": system.distortion, "tune": system.tune}
        row |= {key: fmean(getattr(one, key) for one in measured.values()) for key, _, _ in MEANS}
        for key, _, _ in COMPARED:
            gains = {picture: getattr(one, key) - getattr(yardstick[picture], key) for picture, one in measured.items()}
            worst = min(gains, key=gains.__getitem__)
            spread = stdev(gains.values()) / math.sqrt(len(gains)) if len(gains) > 1 else math.nan
            row |= {f"{key}_gain": fmean(gains.values()), f"{key}_gain_error": spread}
            row |= {f"{key}_gain_worst": gains[worst], f"{key}_gain_worst_picture": worst}
        summary.append(row)
    return summary


def to_markdown(summary: Sequence[Row]) -> str:
    """Two tables for each set: the means, and the gains over plain x4."""
    parts = []
    for name in dict.fromkeys(row["set"] for row in summary):
        rows = [row for row in summary if row["set"] == name]
        headings = [heading for _, heading, _ in (*NAMING, *MEANS)]
        means = [[format(row[key], style) for key, _, style in (*NAMING, *MEANS)] for row in rows]
        parts.append(f"## {name}, pictures: {rows[0]['pictures']}\n\n{markdown_table(headings, means)}")
        headings = [heading for _, heading, _ in NAMING]
        for _, heading, _ in COMPARED:
            headings += [heading, "worst", "on"]
        gains = [gain_cells(row) for row in rows if row["system"] != YARDSTICK]
        parts.append(
            f"Over {YARDSTICK}, picture by picture (mean ± its standard error):\n\n{markdown_table(headings, gains)}"
        )
    return "\n\n".join(parts) + "\n"


def gain_cells(row: Row) -> list[str]:
    cells = [str(row[key]) for key, _, _ in NAMING]
    for key, _, style in COMPARED:
        error = float(row[f"{key}_gain_error"])
        cells.append(f"{row[f'{key}_gain']:+{style}}" + ("" if math.isnan(error) else f" ± {error:{style}}"))
        cells += [f"{row[f'{key}_gain_worst']:+{style}}", Path(str(row[f"{key}_gain_worst_picture"])).stem]
    return cells


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(NAMING) + ["---:"] * (len(headings) - len(NAMING)), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def to_csv(summary: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(summary[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(summary)
    return text.getvalue()


def budget_text(text: str) -> str:
    try:
        return Budget(text).text
    except BbmrError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def find_sets(data: Path, names: Sequence[str], limit: int | None) -> dict[str, list[Path]]:
    sets = {}
    for name in names:
        folder = data / name
        if not folder.is_dir():
            sys.exit(f"{folder}: no such folder; --data is the folder that holds the sets")
        sets[name] = sorted(path for path in folder.iterdir() if path.suffix.lower() in READ_SUFFIXES)[:limit]
        if not sets[name]:
            sys.exit(f"{folder}: holds no pictures")
    return sets


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--sets", nargs="+", default=["test2k", "test4k"], help="folders of pictures in it")
    parser.add_argument("--limit", type=int, help="take only the first N pictures of each set")
    parser.add_argument(
        "--quick", action="store_true", help="fewer rows: what each step brings, in full for blocks of 16"
    )
    parser.add_argument(
        "--network",
        choices=NETWORKS,
        default="fast",
        help="whose rows: what each step of the default is worth, or all receivers of an SR network",
    )
    parser.add_argument(
        "--efforts",
        nargs="+",
        type=int,
        choices=EFFORTS[1:],
        default=[],
        help="rows for these efforts and none, in place of those of what each step is worth",
    )
    parser.add_argument(
        "--budgets", nargs="+", type=budget_text, help="of the mosaics of --efforts, as in bbmr compress"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="TEXT", help='rows with one of these in their keys ("16, {", "psnr"), and plain x4'
    )
    parser.add_argument("--out", type=Path, nargs="+", default=[], help="files to write, .md or .csv")
    parser.add_argument("--cache", type=Path, default=Path("runs/quality.jsonl"), help="results known so far")
    options = parser.parse_args(arguments)
    for path in options.out:
        if path.suffix not in (".md", ".csv"):
            parser.error(f"{path}: tables are written as .md or .csv")
    if options.limit is not None and options.limit < 1:
        parser.error(f"--limit {options.limit}: take at least one picture")
    if (options.budgets and not options.efforts) or (options.quick and options.efforts):
        parser.error("--budgets goes with --efforts, --quick without")
    sets = find_sets(options.data, options.sets, options.limit)
    if options.efforts:
        rows = refined_systems(options.network, options.efforts, options.budgets or ["x4"])
    else:
        rows = systems(options.quick, options.network)
    for text in options.only or ():
        if not any(text in row.key for row in rows):
            parser.error(f"--only {text!r}: there is no such row; there are:\n" + "\n".join(row.key for row in rows))
    if options.only:
        rows = [row for row in rows if row.name == YARDSTICK or any(text in row.key for text in options.only)]
    for row in rows:  # loading a network is no part of what is timed
        row.restore(compress_uniform(Picture(np.zeros((16, 16, 3), np.uint8)), 4, row.pipeline))
    results = measure_all(sets, rows, Cache(options.cache), Console(stderr=True))
    summary = [row for name, measured in results.items() for row in summarise(name, measured)]
    for path in options.out:
        path.write_text(to_csv(summary) if path.suffix == ".csv" else to_markdown(summary), encoding="utf-8")
    print(to_markdown(summary))


if __name__ == "__main__":
    main()
