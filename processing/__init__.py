"""The TGDI processor: the files that travel with a checkpoint to the Hub."""
