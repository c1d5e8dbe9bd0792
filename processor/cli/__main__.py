"""`python -m processor.cli` is `ringback`."""

from processor.cli import main

main()
