"""Weights of the networks by name: those that ship, in this folder, and those that the user imported, in one of theirs.

Each folder has an `index.json` that says of every file what it holds.
"""

from bbmr.weights.index import WeightsEntry, load_filters, load_weights, weights_index

__all__ = ["WeightsEntry", "load_filters", "load_weights", "weights_index"]
