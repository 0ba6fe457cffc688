"""Vision-language models as zero-shot and few-shot baselines, scored with the metric and report of `tgdi evaluate`."""
