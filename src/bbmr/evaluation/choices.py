"""What can be chosen of an evaluation.  Light to import, as `bbmr.options`."""

from bbmr.options import BICUBIC_MOSAIC, LEARNED, PLAIN_PIPELINE

TABLES = ("1", "2", "3", "4", "5", "sides")
"""Of a report: the paper's by number, and that of the sides of blocks."""
DEFAULT_PIPELINES = tuple(kind + name for kind in ("", LEARNED) for name in (PLAIN_PIPELINE, BICUBIC_MOSAIC))
SIMPLE_BELOW = 2.0
"""dB: a simple block loses less from x4 to x8."""
HARD_ABOVE = 6.0
"""dB: a hard block gains more from x4 to x2."""
