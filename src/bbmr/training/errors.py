"""Errors of training that are more than a BbmrError."""

from bbmr.errors import BbmrError


class RecipeError(BbmrError):
    """A recipe, or an override of one, that cannot be trained by."""
