"""Lossy files: LR samples through a codec, and each block's scale by what it costs in bits."""
