"""Trains the network of a mosaic; resumable, with an average of the weights.

    python -m bbmr.training.trainer --data PHOTOS --out RUN [--uniform-x4] [--steps N] ...

Run again with the same folder to go on from its last checkpoint, also with more steps.
The rate is constant after a short warm-up and falls linearly to zero over the last part ("warm-up, stable, decay"; S.
Hu et al., "MiniCPM", 2024).  A cosine would have to know the number of steps from the start; this way a run can be
prolonged from the checkpoint that it leaves where the decay begins.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bbmr.blocks import CELL
from bbmr.errors import BbmrError
from bbmr.luma import luma
from bbmr.networks import build_network
from bbmr.training.data import Batch, BatchSource, find_photos, load_photo
from bbmr.training.muon import Muon
from bbmr.upscaling.mosaic import build_mosaic, correct_mosaic


@dataclass(frozen=True)
class TrainingOptions:
    """Everything a run depends on; kept beside its checkpoints."""

    network: str = "fast"
    steps: int = 20000
    decay: float = 0.4  # share of the steps over which the rate falls to zero
    batch: int = 8
    side: int = 192  # pixels per side of an HR crop
    rate: float = 2e-3  # Muon's, for the convolutions
    rate_rest: float = 1e-2  # AdamW's, for biases and gains; 1e-3 takes more than twice the steps on mosaics
    average: float = 0.998  # decay of the moving average of the weights
    warm_up: int = 200  # steps over which the rate rises
    loss: str = "l1"  # or "psnr", to finish with
    chroma: float = 0.5  # weight of Cb and Cr in the loss; luma has 1
    uniform_x4: bool = False
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        if self.side % CELL or self.side < CELL:
            raise BbmrError(f"side {self.side} is not possible; crops have multiples of {CELL} pixels per side")
        if self.loss not in _LOSSES:
            raise BbmrError(f"loss {self.loss!r} is unknown; choose one of {', '.join(_LOSSES)}")
        if not 0 < self.decay <= 1:
            raise BbmrError(f"decay {self.decay} is not possible; it is a share of the steps, above 0 and at most 1")
        if min(self.steps, self.batch, self.warm_up, self.threads) < 1:
            raise BbmrError("steps, batch, warm_up and threads are at least 1")


_REPORT_EVERY = 500


def train(options: TrainingOptions, data: Path, out: Path) -> None:
    """Train on the photographs below `data`; checkpoints, options and log go to `out`."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    out.mkdir(parents=True, exist_ok=True)
    (out / "options.json").write_text(json.dumps(asdict(options), indent=2) + "\n")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_paths, validation_paths = find_photos(data)
    if not validation_paths:
        raise BbmrError(f"{data}: none of its {len(train_paths)} photographs is held out for validation; add more")
    source = BatchSource(
        [load_photo(path) for path in train_paths],
        options.batch,
        options.side,
        options.uniform_x4,
        device,
        options.seed,
    )
    validation = next(
        iter(BatchSource([load_photo(path) for path in validation_paths], 32, 256, False, device, seed=1))
    )

    run = _Run(build_network(options.network).network, options, device)
    checkpoint = out / "last.pt"
    if checkpoint.exists():
        run.load_state_dict(torch.load(checkpoint, map_location=device, weights_only=True))
        # Other crops than those already seen; exact continuation is not needed for statistics.
        source.reseed(options.seed + run.step)
    started, first, waited = time.monotonic(), run.step, 0.0
    batches = iter(source)
    while run.step < options.steps:
        before = time.monotonic()
        batch = next(batches)
        mosaic = build_mosaic(batch.planes, batch.levels)
        waited += time.monotonic() - before
        loss = run.train_step(mosaic, batch)
        if run.step == round(options.steps * (1 - options.decay)):
            torch.save(run.state_dict(), out / "stable.pt")
        if run.step % _REPORT_EVERY == 0 or run.step == options.steps:
            seconds = time.monotonic() - started
            line = {
                "step": run.step,
                "loss": round(loss, 5),
                "seconds_a_step": round(seconds / (run.step - first), 4),
                "data_share": round(waited / seconds, 3),
            } | validate(run.averaged, validation)
            print(json.dumps(line), flush=True)
            with (out / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            torch.save(run.state_dict(), out / "next.pt")
            (out / "next.pt").replace(checkpoint)
            state = {key: value.contiguous() for key, value in run.averaged.state_dict().items()}
            save_file(state, out / "average.safetensors")


class _Run:
    """Network, optimisers, average of the weights and step count: all that a checkpoint holds."""

    def __init__(self, network: nn.Module, options: TrainingOptions, device: torch.device) -> None:
        self.options, self.device, self.step = options, device, 0
        self.network = network.to(device)
        self.averaged = build_network(options.network).network.to(device)
        self.averaged.load_state_dict(self.network.state_dict())
        parameters = list(self.network.parameters())
        self.optimisers: list[torch.optim.Optimizer] = [
            Muon([p for p in parameters if p.ndim == 4], lr=options.rate),
            torch.optim.AdamW(
                [p for p in parameters if p.ndim != 4], lr=options.rate_rest, betas=(0.9, 0.99), weight_decay=0
            ),
        ]

    def train_step(self, mosaic: Tensor, batch: Batch) -> float:
        self._set_rates()
        with torch.autocast(self.device.type, torch.bfloat16):
            restored = correct_mosaic(mosaic, batch.levels, self.network)
        loss = _LOSSES[self.options.loss](*_components(restored - batch.hr), self.options.chroma)
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.step += 1
        keep = min(self.options.average, self.step / (self.step + 10))
        with torch.no_grad():
            for average, parameter in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
                average.lerp_(parameter, 1 - keep)
        return loss.item()

    def _set_rates(self) -> None:
        options = self.options
        factor = min(
            1.0, (self.step + 1) / options.warm_up, (options.steps - self.step) / (options.steps * options.decay)
        )
        for optimiser, rate in zip(self.optimisers, (options.rate, options.rate_rest), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)


def _components(error: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Errors in RGB (N, 3, H, W) -> errors in Y, Cb and Cr (full range BT.601), each (N, H, W): chroma is weighted
    down, as by eyes and PSNR-Y."""
    red, green, blue = error.unbind(1)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    return y, 0.564 * (blue - y), 0.713 * (red - y)


def _l1(y: Tensor, cb: Tensor, cr: Tensor, chroma: float) -> Tensor:
    return y.abs().mean() + chroma * (cb.abs().mean() + cr.abs().mean())


def _psnr(y: Tensor, cb: Tensor, cr: Tensor, chroma: float) -> Tensor:
    """Log of each crop's squared error, its PSNR but for a factor (L. Chen et al., "Simple Baselines for Image
    Restoration", ECCV 2022)."""
    squared = (y.square() + chroma * (cb.square() + cr.square())).mean((1, 2))
    # Two grey levels squared: crops that are all but exact should not outweigh the others.
    return torch.log(squared + 2 / 255**2).mean()


_LOSSES = {"l1": _l1, "psnr": _psnr}


@torch.inference_mode()
def validate(network: nn.Module, batch: Batch) -> dict[str, float]:
    """PSNR-Y in dB over crops of validation photographs: on allocator's maps and on the uniform maps x2, x4, x8."""
    maps = {"maps": batch.levels} | {
        f"x{factor}": torch.full_like(batch.levels, factor.bit_length() - 1) for factor in (2, 4, 8)
    }
    figures = {}
    for name, levels in maps.items():
        mosaic = (
            build_mosaic(batch.planes, levels)
            if name == "maps"
            else build_mosaic({int(name[1:]): batch.planes[int(name[1:])]}, levels)
        )
        restored = correct_mosaic(mosaic, levels, network).clamp(0, 1)
        figures[name] = round(_mean_psnr_y(restored, batch.hr), 3)
        figures[f"{name}_bicubic"] = round(_mean_psnr_y(mosaic.clamp(0, 1), batch.hr), 3)
    return figures


def _mean_psnr_y(restored: Tensor, hr: Tensor) -> float:
    mse = (luma(restored) - luma(hr)).square().mean((1, 2, 3))
    # A crop of even sky can be all but exact; it should not outweigh the others.
    return float((10 * torch.log10(255**2 / mse.clamp_min(0.5))).mean())


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    for option in fields(TrainingOptions):
        name = "--" + option.name.replace("_", "-")
        if option.type is bool:
            parser.add_argument(name, action="store_true")
        else:
            parser.add_argument(name, type=type(option.default), default=option.default)
    arguments = parser.parse_args()
    try:
        options = TrainingOptions(
            **{option.name: getattr(arguments, option.name) for option in fields(TrainingOptions)}
        )
        train(options, arguments.data, arguments.out)
    except BbmrError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
