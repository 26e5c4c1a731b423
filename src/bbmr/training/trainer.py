"""Trains the network of a mosaic: one loop, resumable, with an average of the weights.

    python -m bbmr.training.trainer --data PHOTOS --out RUN [--uniform-x4]
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bbmr.downscaling.bicubic import upscale
from bbmr.luma import luma
from bbmr.networks.fast import Fast
from bbmr.training.data import Batch, BatchSource, find_photos, load_photo, lr_planes
from bbmr.upscaling.mosaic import build_mosaic, correct_mosaic


@dataclass(frozen=True)
class Options:
    steps: int = 20000
    batch: int = 8
    side: int = 192
    optimiser: str = "adamw"
    rate: float = 1e-3
    loss: str = "l1"
    uniform_x4: bool = False
    seed: int = 0
    limit: int = 0


def loss_of(kind, restored, batch):
    e = restored - batch.hr
    if kind == "l1":
        return e.abs().mean()
    w = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    ycc = torch.einsum("ij,njhw->nihw", w, e)
    ycc = ycc * torch.tensor([1.0, 0.5, 0.5]).view(1, 3, 1, 1)
    if kind == "ycc":
        return ycc.abs().mean()
    if kind == "charb":
        return (ycc.square().sum(1) + 1e-5).sqrt().mean()
    if kind == "mse":
        return ycc.square().mean() * 30
    if kind == "logmse":
        return torch.log(ycc.square().mean((1, 2, 3)) + 1e-6).mean() / 20
    raise ValueError(kind)


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr=0.02, momentum=0.95, wd=0.0):
        super().__init__(params, dict(lr=lr, momentum=momentum, wd=wd))

    @torch.no_grad()
    def step(self):
        for g in self.param_groups:
            for p in g["params"]:
                st = self.state[p]
                if "m" not in st:
                    st["m"] = torch.zeros_like(p)
                st["m"].lerp_(p.grad, 1 - g["momentum"])
                u = p.grad.lerp(st["m"], g["momentum"]).flatten(1)
                x = u / (u.norm() + 1e-7)
                t = x.shape[0] > x.shape[1]
                x = x.T if t else x
                for _ in range(5):
                    a = x @ x.T
                    x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
                x = x.T if t else x
                p.add_(x.view_as(p), alpha=-g["lr"] * 0.2 * max(x.shape) ** 0.5)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", type=Path)
    p.add_argument("--out", type=Path)
    for f, v in Options().__dict__.items():
        p.add_argument("--" + f, type=(lambda s: s == "1") if isinstance(v, bool) else type(v), default=v)
    a = p.parse_args()
    o = {k: getattr(a, k) for k in Options().__dict__}
    o = Options(**o)
    torch.set_num_threads(1)
    torch.manual_seed(o.seed)
    tr, va = find_photos(a.data)
    if o.limit:
        tr = tr[:: max(1, len(tr) // o.limit)]
    t0 = time.time()
    photos = [load_photo(p) for p in tr]
    vals = [load_photo(p) for p in va]
    print("loaded", len(photos), len(vals), f"{time.time() - t0:.0f}s", flush=True)
    src = iter(BatchSource(photos, o.batch, o.side, o.uniform_x4, torch.device("cpu"), o.seed))
    vsrc = BatchSource(vals, 24, 256, False, torch.device("cpu"), 1)
    vb = next(iter(vsrc))
    net = Fast().to(memory_format=torch.channels_last)
    conv = [p for p in net.parameters() if p.ndim == 4]
    rest = [p for p in net.parameters() if p.ndim != 4]
    if o.optimiser == "adamw":
        opts = [torch.optim.AdamW(net.parameters(), lr=o.rate, betas=(0.9, 0.99), weight_decay=0)]
        base = [o.rate]
    else:
        opts = [Muon(conv, lr=o.rate), torch.optim.AdamW(rest, lr=1e-3, betas=(0.9, 0.99), weight_decay=0)]
        base = [o.rate, 1e-3]
    ema = {k: v.clone() for k, v in net.state_dict().items()}
    ev = Fast()
    t0 = time.time()
    data_t = 0
    for step in range(o.steps):
        f = min(1, (step + 1) / 100) * min(1, (o.steps - step) / (o.steps * 0.4))
        for q, b in zip(opts, base):
            q.param_groups[0]["lr"] = b * f
        t1 = time.time()
        b = next(src)
        m = build_mosaic(b.planes, b.levels)
        data_t += time.time() - t1
        with torch.autocast("cpu", torch.bfloat16):
            y = correct_mosaic(m, b.levels, net)
        l = loss_of(o.loss, y, b)
        for q in opts:
            q.zero_grad()
        l.backward()
        gn = torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        for q in opts:
            q.step()
        d = min(0.998, (step + 1) / (step + 10))
        with torch.no_grad():
            for k, v in net.state_dict().items():
                ema[k].lerp_(v, 1 - d)
        if (step + 1) % 500 == 0 or step + 1 == o.steps:
            ev.load_state_dict(ema)
            res = []
            with torch.no_grad():
                for lv in (vb.levels, torch.full_like(vb.levels, 2), torch.full_like(vb.levels, 1), torch.full_like(vb.levels, 3)):
                    m = build_mosaic(vb.planes, lv)
                    y = correct_mosaic(m, lv, ev).clamp(0, 1)
                    ps = lambda z: (10 * torch.log10(255**2 / (luma(z) - luma(vb.hr)).square().mean((1, 2, 3)).clamp_min(1e-6 if z is None else 1e-7))).mean().item()
                    pr = lambda z: (10 * torch.log10(1 / (z - vb.hr).square().mean((1, 2, 3)).clamp_min(1e-6 if z is None else 1e-7))).mean().item()
                    res.append(f"{ps(y):.2f}(+{ps(y) - ps(m):.2f}) rgb {pr(y):.2f}")
            print(step + 1, f"{time.time() - t0:.0f}s data {data_t / (time.time() - t0):.0%} loss {l:.4f}", " | ".join(res), flush=True)
            a.out.mkdir(parents=True, exist_ok=True)
            save_file({k: v.contiguous() for k, v in ema.items()}, a.out / "ema.safetensors")


main()
