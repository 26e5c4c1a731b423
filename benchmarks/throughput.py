"""Training throughput of the networks on the device at hand: a Markdown table.

    python benchmarks/throughput.py
    python benchmarks/throughput.py --networks omnisr-x4 fast --batch 32 --crop 256 --steps 50 --compile

Every network is trained by `bbmr train`'s own code on random pictures, for twice --steps; the first half warms up.
A GPU is used where there is one; `CUDA_VISIBLE_DEVICES= ` keeps to the CPU, OMP_NUM_THREADS sets its threads.

Columns. MACs/HR pixel: multiply-accumulates of the network, forward, for each pixel of the restored picture. HR crop:
side of a crop, in pixels. LR pixels/s: input positions of the network, over all crops of a batch: pixels of the LR
crops; for mosaics positions of the H/4 grid, which is as many as a uniform x4 has; for Joint SR pixels of all LR
blocks, of 128 HR pixels a side and without context, with 2, 4 and 8 in equal parts. Batches: share of the time that
the step waits for its batch. MACs/s: multiply-accumulates of the network, forward and, taken to be twice as many,
backward; the optimiser's are left out. Of peak: those over what a large matrix product reaches here in the same
precision.
"""

import argparse
import csv
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bbmr.errors import BbmrError
from bbmr.networks import NetworkDescriptor, build_network, network_names
from bbmr.networks.inputs import random_inputs
from bbmr.training.recipe import recipe_from
from bbmr.training.run import train

PRECISIONS = {"bf16-mixed": torch.bfloat16, "32-true": torch.float32}
HEADER = (
    "| network | parameters | MACs/HR pixel | HR crop | batch | LR pixels/s | s/step | batches | GMACs/s | of peak |"
)


@dataclass(frozen=True)
class Work:
    """What one step is given: `batch` crops of crop x crop HR pixels."""

    batch: int
    crop: int


@dataclass(frozen=True)
class Cost:
    """Of one crop.  lr_pixels: input positions; forward: multiply-accumulates; with backward it is three times them."""

    lr_pixels: int
    forward: int


@dataclass(frozen=True)
class Speed:
    """seconds: of a step; waiting: the share of them that goes into batches."""

    seconds: float
    waiting: float


def default_work(descriptor: NetworkDescriptor) -> Work:
    """LR crops of 48 x 48 on a CPU, of 64 x 64 on a GPU, or as many positions; Joint SR has 9 or 36 blocks."""
    on_gpu = torch.cuda.is_available()
    if descriptor.kind == "joint":
        return Work(4, 768) if on_gpu else Work(1, 384)
    return Work(32 if on_gpu else 2, (64 if on_gpu else 48) * (descriptor.scale or 4))


def cost(descriptor: NetworkDescriptor, crop: int) -> Cost:
    inputs = random_inputs(descriptor, 1, crop)
    pictures = [inputs[0]] if isinstance(inputs[0], Tensor) else list(inputs[0].values())
    lr_pixels = sum(part.numel() // part.shape[1] for part in pictures)
    # torch's counter misses fused attention on CPUs, and takes the gradients of depth-wise convolutions for those of
    # full ones.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        descriptor.network(*inputs)
    return Cost(lr_pixels, counter.get_total_flops() // 2)


def speed(descriptor: NetworkDescriptor, work: Work, steps: int, precision: str, compiled: bool) -> Speed:
    maps: dict[str, Any] = {}  # the recipe's own, for mosaics
    if descriptor.kind == "sr":
        maps = {"uniform": 1, "uniform_scales": {descriptor.scale: 1}}
    elif descriptor.kind == "joint":
        maps = {"uniform": 0, "shuffled": 1, "all_scales": 0, "blocks": {128: 1}}
    with TemporaryDirectory() as folder:
        photos, out = Path(folder, "photos"), Path(folder, "run")
        paint(photos, work.crop + 64)
        recipe = recipe_from(
            {
                "network": descriptor.name,
                "steps": 2 * steps,
                "batch": work.batch,
                "crop": work.crop,
                "precision": precision,
                "compile": compiled,
                "context": 0,
                "data": {"folder": str(photos)},
                "maps": maps,
                "schedule": {"name": "cosine", "warm_up": 1},  # keeps no checkpoint in between
                "validation": {"every": steps, "crops": 1, "crop": work.crop, "pictures": 0},
            }
        )
        with redirect_stderr(StringIO()):
            train(recipe, out, devices=1)
        with (out / "log.csv").open(newline="") as log:
            *_, last = csv.DictReader(log)
    return Speed(1 / float(last["steps_per_second"]), float(last["data_share"]))


def paint(folder: Path, side: int) -> None:
    """Four random pictures; what they show costs nothing."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(4):
        Image.fromarray(random.integers(0, 256, (side, side, 3), np.uint8)).save(folder / f"{number}.png")


def measure_peak(precision: str) -> float:
    """Multiply-accumulates per second of a large matrix product, the best of five."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    side = 8192 if device.type == "cuda" else 1536
    matrix = torch.rand(side, side, device=device).to(PRECISIONS[precision])
    seconds = []
    for _ in range(5):
        synchronise(device)
        start = time.perf_counter()
        matrix @ matrix
        synchronise(device)
        seconds.append(time.perf_counter() - start)
    return float(side**3 / min(seconds))


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def device_name() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, threads: {torch.get_num_threads()}"


def row(descriptor: NetworkDescriptor, work: Work, speed: Speed, peak: float) -> str:
    own = cost(descriptor, work.crop)
    lr_pixels, macs = work.batch * own.lr_pixels / speed.seconds, 3 * work.batch * own.forward / speed.seconds
    cells = (
        descriptor.name,
        f"{sum(parameter.numel() for parameter in descriptor.network.parameters()):,}",
        f"{own.forward / work.crop**2:,.0f}",
        f"{work.crop} x {work.crop}",
        str(work.batch),
        f"{lr_pixels:,.0f}",
        f"{speed.seconds:.4g}",
        f"{speed.waiting:.1%}",
        f"{macs / 1e9:.4g}",
        f"{macs / peak:.1%}",
    )
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=network_names(), default=network_names(), metavar="NAME")
    parser.add_argument("--steps", type=int, help="timed steps of each network (default: 5, on a GPU 50)")
    parser.add_argument("--batch", type=int, help="crops a step (default: 2, on a GPU 32; Joint SR 1 and 4)")
    parser.add_argument("--crop", type=int, help="side of an HR crop (default: LR crops of 48 x 48, on a GPU 64 x 64)")
    parser.add_argument("--precision", choices=PRECISIONS, default="bf16-mixed")
    parser.add_argument("--compile", action="store_true", help="compile the networks, as recipes can say")
    options = parser.parse_args(arguments)
    steps = options.steps if options.steps is not None else 50 if torch.cuda.is_available() else 5
    if steps < 1:
        parser.error(f"--steps {steps}: one at least")
    peak = measure_peak(options.precision)
    print(f"{device_name()}; {options.precision}; peak {peak / 1e9:.4g} GMACs/s (matrix product)\n")
    print(HEADER, "| --- |" + " ---: |" * 9, sep="\n", flush=True)
    failed = False
    shown = Console(file=sys.stderr)  # the stream of now: training's own words are kept away from it
    for name in track(options.networks, "Training", console=shown, transient=True):
        descriptor = build_network(name)
        usual = default_work(descriptor)
        work = Work(options.batch or usual.batch, options.crop or usual.crop)
        try:
            own_speed = speed(descriptor, work, steps, options.precision, options.compile)
        except BbmrError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = True
            continue
        print(row(descriptor, work, own_speed, peak), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
