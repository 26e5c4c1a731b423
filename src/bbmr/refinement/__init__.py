"""LR samples refined at the sender, for the network that will restore them."""
