"""Which scale each block gets: distortion estimates in, scales out, never over the budget of LR pixels."""
