"""The command `tgdi`."""
