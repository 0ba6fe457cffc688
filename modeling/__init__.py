"""The TGDI model: the files that travel with a checkpoint to the Hub."""
