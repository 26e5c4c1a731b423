"""How natural a picture looks, without its original: NIQE, and the score of Ma et al. that PI needs beside it."""
