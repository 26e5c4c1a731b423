"""Systems: ways to store and restore a picture, as plain data that a report's rows, a cache and workers share."""

import hashlib
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from bbmr.allocation.corrected import FALLBACK, LIGHT, SUFFIX, is_fitted
from bbmr.catalogue import PIPELINES, Pipeline, find_pipeline
from bbmr.devices import full_float32
from bbmr.evaluation.complexity import count_upscaling
from bbmr.networks.joint import JointSR
from bbmr.options import LEARNED, Options
from bbmr.parts import Parts
from bbmr.picture import Picture
from bbmr.pipeline import compress, compress_uniform, restore
from bbmr.plugins import load_allocator, load_downscaler, load_upscaler
from bbmr.rescaled import RescaledImage
from bbmr.upscaling.joint import JointUpscaler
from bbmr.weights import load_weights, weights_index

FACTOR = 4
"""The overall scale of every system: a uniform one has it all over, the others store at most as many LR pixels."""


@dataclass(frozen=True)
class Own:
    """Parts of a researcher's own in place of a pipeline's, as `bbmr.plugins` finds them; empty: the pipeline's."""

    upscaler: str = ""
    downscaler: str = ""
    allocator: str = ""

    def parts(self) -> Parts:
        """Raises BbmrError as the loaders do."""
        return Parts(
            _upscaler(self.upscaler)[0] if self.upscaler else None,
            _downscaler(self.downscaler)[0] if self.downscaler else None,
            _allocator(self.allocator)[0] if self.allocator else None,
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of each."""
        loaders = ((_upscaler, self.upscaler), (_downscaler, self.downscaler), (_allocator, self.allocator))
        return " ".join(load(text)[1] for load, text in loaders if text)


_upscaler, _downscaler, _allocator = cache(load_upscaler), cache(load_downscaler), cache(load_allocator)

NOTHING_OWN = Own()
BICUBIC = Own(upscaler="bbmr.evaluation.peers:bicubic")
LANCZOS = Own(upscaler="bbmr.evaluation.peers:lanczos", downscaler="bbmr.evaluation.peers:lanczos_planes")


@dataclass(frozen=True)
class System:
    """pipeline: its name.  options: how blocks get their scales; None for a uniform x4.  effort: of refinement, where
    there are no options.  own: parts in place of the pipeline's.  measured_by: the pipeline whose network measures the
    distortions, where it is not `pipeline` itself.  joint: of Joint SR, the band that deblocking replaces (0: none) and
    the context around each block; None for what the weights were trained with.
    """

    pipeline: str
    options: Options | None = None
    effort: int = 0
    own: Own = NOTHING_OWN
    measured_by: str = ""
    joint: tuple[int, int] | None = None

    @property
    def key(self) -> str:
        """Name it in the cache: all that is chosen."""
        parts = [self.pipeline]
        if self.options is None:
            parts.append(f"uniform x{FACTOR}, effort {self.effort}")
        else:
            chosen = self.options
            scales = ",".join(map(str, chosen.scales))
            parts.append(f"block {chosen.block}, scales {scales}, budget {chosen.budget.text}, {chosen.objective}")
            parts.append(f"distortion {chosen.distortion}, effort {chosen.effort}")
        parts += [f"{name} {text}" for name, text in vars(self.own).items() if text]
        if self.measured_by:
            parts.append(f"measured by {self.measured_by}")
        if self.joint is not None:
            parts.append("band {}, context {}".format(*self.joint))
        return "; ".join(parts)

    @property
    def fingerprint(self) -> str:
        """Digests of whatever was trained, fitted or written and decides the result, but for this package's code."""
        digests = [] if self.own.upscaler else [hash_of_weights(self.pipeline)]
        distortion = self.options.distortion if self.options else ""
        if self.measured_by:
            digests.append(hash_of_weights(self.measured_by))
        if distortion == "corrected":
            digests += [weights_index()[LIGHT].sha256, _hash_of_correction(self.pipeline)]
        if distortion == "helper":
            digests += [weights_index()[name].sha256 for name in PIPELINES[self.pipeline].helper]
        return " ".join([*digests, self.own.fingerprint]).strip()

    def compress(self, picture: Picture, errors: NDArray[np.float64] | None, device: str) -> RescaledImage:
        """errors: of its distortion, where they are known."""
        parts = self.own.parts()
        if self.options is None:
            return compress_uniform(picture, FACTOR, self.pipeline, effort=self.effort, device=device, parts=parts)
        return compress(picture, self.options, errors=errors, device=device, parts=parts)

    def restore(self, rescaled: RescaledImage, device: str) -> Picture:
        """As the receiver does."""
        if self.joint is None:
            return restore(rescaled, device=device, parts=self.own.parts())
        with full_float32():
            colour = self.receiver(device).upscaler().restore(rescaled)
        return Picture(colour, rescaled.alpha, rescaled.metadata)

    def macs_to_restore(self, rescaled: RescaledImage) -> int | None:
        """Multiply-accumulates of restoring in colour; None with an upscaler that is no network of this package."""
        if self.own.upscaler:
            return None
        return count_upscaling(self.receiver("cpu"), rescaled.scales, rescaled.grid).macs

    @cache  # noqa: B019  # systems are few, and so are the networks that this keeps
    def receiver(self, device: str) -> Pipeline:
        """What restores, its networks at hand."""
        pipeline = find_pipeline(self.pipeline, device=device, parts=self.own.parts())
        if self.joint is None:
            return pipeline
        descriptor = load_weights(pipeline.weights)
        network = deepcopy(descriptor.network).to(pipeline.device)
        assert isinstance(network, JointSR)
        network.band, network.context = self.joint
        return replace(pipeline, parts=Parts(JointUpscaler(replace(descriptor, network=network))))


def hash_of_weights(pipeline: str) -> str:
    """Digests of all the weights of a pipeline: those that restore, those that make its LR planes, and those that
    restore gray pictures in their place.
    """
    found, index = find_pipeline(pipeline), weights_index()
    gray = PIPELINES[pipeline.removeprefix(LEARNED)].networks if found.learned else ()
    return " ".join([found.weights_digest, *(index[name].sha256 for name in (*found.filters, *gray) if name in index)])


def _hash_of_correction(pipeline: str) -> str:
    weights = find_pipeline(pipeline).weights
    file = (weights if is_fitted(weights) else FALLBACK) + SUFFIX
    return hashlib.sha256(files("bbmr.weights").joinpath(file).read_bytes()).hexdigest()


def try_out(systems: Iterable[System], device: str) -> None:
    """Run those with parts of a researcher's own on a small picture: what is wrong with these is known before long
    work.  Raises BbmrError.
    """
    rows, cols = np.mgrid[:150, :170]
    wave = 128 + 60 * np.sin(rows / 3 + cols / 7)
    picture = Picture(np.stack([wave, wave[::-1], 255 - wave], axis=2).astype(np.uint8))
    for system in systems:
        if system.own != NOTHING_OWN:
            system.restore(system.compress(picture, None, device), device)
