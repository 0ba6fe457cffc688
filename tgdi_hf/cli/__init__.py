"""The command `tgdi`, with one module per command or pair of related commands."""
