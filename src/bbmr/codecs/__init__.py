"""Codecs of planes of samples: arrays to bytes and back."""
