"""The budget of LR pixels, as users write it."""

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from bbmr.errors import BbmrError


@dataclass(frozen=True)
class Budget:
    """How many LR pixels a picture may store.

    text: "x4", the pixels of a uniform x4 (any factor from 1 up, fractions included), or a share of the picture's
    pixels as "1/16", "0.0625" or "6.25%".  Raises BbmrError for anything else.
    """

    text: str = "x4"

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise BbmrError(f"budget {self.text!r} is not text; give it as 'x4' or '1/16'")
        self._parse()

    def pixels(self, height: int, width: int) -> int:
        """LR pixels for a picture of height x width; at least 1."""
        kind, number = self._parse()
        if kind == "factor":
            return math.ceil(height / number) * math.ceil(width / number)
        return max(1, math.floor(height * width * number))

    def _parse(self) -> tuple[str, Fraction]:
        text = self.text.strip().lower()
        match = re.fullmatch(r"(x?)(\d{1,6}(?:\.\d{1,9})?)(?:/(\d{1,9}))?(%?)", text)
        if match:
            factor, number, divisor, percent = match.groups()
            if not (factor and (divisor or percent)) and not (divisor and int(divisor) == 0):
                value = Fraction(number) / int(divisor or 1) / (100 if percent else 1)
                if factor and value >= 1:
                    return "factor", value
                if not factor and 0 < value <= 1:
                    return "share", value
        raise BbmrError(
            f"budget {self.text!r} is not one: give the factor of a uniform scale (x4) "
            "or a share of the pixels (1/16, 0.0625, 6.25%)"
        )
