"""The TGDI model. This folder and `processing/` hold what travels with a checkpoint to the Hub."""

import transformers
