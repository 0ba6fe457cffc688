"""transformers' `ProcessorTesterMixin` on `TGDIProcessor`."""

import unittest

import pytest

from tgdi_hf import TGDIProcessor

from ..processing.conftest import TOKENIZERS, image_processor
from .skips import WithSkips
from .upstream import load_or_skip

ProcessorTesterMixin = load_or_skip("test_processing_common").ProcessorTesterMixin
pytestmark = pytest.mark.slow


def first_character(text: str) -> tuple[int, int]:
    start = len(text) - len(text.lstrip())
    return start, start + 1


@pytest.fixture(autouse=True)
def head_and_tail(monkeypatch):
    """Upstream's tests know no entities, and give the images of a text as a list; TGDI has one image per post."""
    call = TGDIProcessor.__call__

    # By the annotations upstream's tests know the inputs of a processor from its options.
    def call_with_entities(self, images: list | None = None, text: str | list[str] | None = None, **kwargs):
        if isinstance(images, list):
            images = [(image[0] if image else None) if isinstance(image, list) else image for image in images]
        if text is not None:
            spans = first_character(text) if isinstance(text, str) else [*map(first_character, text)]
            kwargs = {"head": spans, "tail": spans, **kwargs}
        return call(self, images=images, text=text, **kwargs)

    monkeypatch.setattr(TGDIProcessor, "__call__", call_with_entities)


class TGDIProcessorTest(WithSkips, ProcessorTesterMixin, unittest.TestCase):
    mixin = ProcessorTesterMixin
    processor_class = TGDIProcessor
    skipped = {
        "test_init_arguments_not_in_processor_kwargs": "`max_length` of a processor is the default of that of a call",
        "test_subprocessor_defaults_0_text": "the processor puts entity markers into a text, the tokenizer none",
        "test_subprocessor_defaults_1_images": "every post has a text; images by themselves are refused",
    }

    @classmethod
    def _setup_image_processor(cls):
        return image_processor()

    @classmethod
    def _setup_tokenizer(cls):
        return TOKENIZERS["wordpiece"]()

    def test_model_input_names(self):
        """Upstream's test expects all of them of one post; here a caption or shared images make the rest."""
        processor, text, images = self.get_processor(), self.prepare_text_inputs(), self.prepare_images_inputs()
        names = set(processor.model_input_names)
        plain = processor(text=text, images=images).keys()
        captioned = processor(text=text, images=images, caption="a caption", share_images=True).keys()
        assert set(plain) < names
        assert set(captioned) == names

    def test_subprocessor_defaults_preserved_by_kwargs_0_images(self):
        """
        The images' part of upstream's test. `max_length` and `padding` of a tokenizer are no defaults here: a fast
        tokenizer saves those of its last call.
        """
        components = self.prepare_components()
        components["image_processor"] = self.get_component("image_processor", do_rescale=True, rescale_factor=-1.0)
        processor = self.processor_class(**components, **self.prepare_processor_dict())
        inputs = processor(text=self.prepare_text_inputs(), images=self.prepare_images_inputs())
        self._check_modality_outputs(inputs, "images")
