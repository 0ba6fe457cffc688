"""Every table of the results, from one command each; see `python -m examples.research.reproduce --help`."""
