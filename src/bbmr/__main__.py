"""`python -m bbmr` is `bbmr`."""

from bbmr.cli import main

main()
