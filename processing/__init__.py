"""The TGDI processor and pipeline. This folder and `modeling/` hold what travels with a checkpoint to the Hub."""

import transformers
