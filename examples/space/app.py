"""A Hugging Face Space that shows a TGDI model: the page of `tgdi app`, for the model that TGDI_CHECKPOINT names."""

import os
from tempfile import TemporaryDirectory

from transformers import pipeline

import tgdi_hf  # noqa: F401 - registers the pipeline
from tgdi_hf.demo.app import run_app

if __name__ == "__main__":
    checkpoint = os.environ.get("TGDI_CHECKPOINT")
    if not checkpoint:
        raise SystemExit(
            "Set the variable TGDI_CHECKPOINT in the settings of the Space to the model's name: user/name."
        )
    with TemporaryDirectory() as folder:
        run_app(pipeline("multimodal-relation-extraction", model=checkpoint), checkpoint, folder)
