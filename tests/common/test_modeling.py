"""transformers' `ModelTesterMixin` on tiny models."""

import tempfile
import unittest
from unittest.mock import patch

import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification
from transformers.models.auto import modeling_auto
from transformers.testing_utils import torch_device

from tgdi_hf import TGDIForRelationExtraction, TGDIModel
from tgdi_hf.modeling.tgdi_outputs import TGDIModelOutput, TGDIRelationExtractionOutput

from .skips import WithSkips
from .tiny import OwnLayersModelTester, TGDIModelTester, ViTModelTester
from .upstream import load_or_skip

ModelTesterMixin = load_or_skip("test_modeling_common").ModelTesterMixin
# Upstream's tests use deprecated names on purpose.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default::FutureWarning", "default::DeprecationWarning")]

# TGDI has two interaction passes; the cross-modal one is the text encoder's.
OUTPUT_NAMES = {"hidden_states": "cross_modal_hidden_states", "attentions": "cross_modal_attentions"}
FEATURES = [
    *(f"test_get_{kind}_features_output_{i}" for kind in ("text", "image", "audio", "video") for i in range(3)),
    *(f"test_get_{kind}_features_hidden_states" for kind in ("text", "image", "audio", "video")),
    *(f"test_get_{kind}_features_attentions" for kind in ("text", "image", "audio", "video")),
    "test_get_image_features_pooler_output",
    "test_get_video_features_pooler_output",
]


@pytest.fixture(autouse=True)
def upstream_names(monkeypatch):
    """The names by which upstream's tests tell classes and outputs apart."""
    monkeypatch.setitem(modeling_auto.MODEL_MAPPING_NAMES, "tgdi", "TGDIModel")
    classifiers = modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
    monkeypatch.setitem(classifiers, "tgdi", "TGDIForRelationExtraction")
    for output in (TGDIModelOutput, TGDIRelationExtractionOutput):
        get = output.__getitem__
        monkeypatch.setattr(
            output, "__getitem__", lambda self, key, get=get: get(self, OUTPUT_NAMES.get(key, key)), raising=False
        )
        monkeypatch.setattr(
            output, "__contains__", lambda self, key: dict.__contains__(self, OUTPUT_NAMES.get(key, key)), raising=False
        )
        for name, ours in OUTPUT_NAMES.items():
            monkeypatch.setattr(output, name, property(lambda self, ours=ours: getattr(self, ours)), raising=False)


class TGDIModelTest(WithSkips, ModelTesterMixin, unittest.TestCase):
    mixin = ModelTesterMixin
    model_tester_class = TGDIModelTester
    all_model_classes = (TGDIModel, TGDIForRelationExtraction)
    _is_composite = True
    test_resize_embeddings = True
    test_can_init_all_missing_weights_before_2023 = True  # upstream knows a model's age by the copyright in its file
    additional_model_inputs = ["head_index", "tail_index", "pixel_values", "image_mask"]

    skipped = {
        **dict.fromkeys(FEATURES, "TGDI has no `get_*_features` of transformers' kind, one tower's output by itself"),
        "test_multimodal_outputs_are_returned": "a test of models that generate text",
        "test_generation_tester_mixin_inheritance": "a test of models that generate text",
        "test_feed_forward_chunking": "TGDI chunks no feed-forward layers of its own",
        "test_reverse_loading_mapping": "weights are saved by their names in the model, not by an encoder's older ones",
    }

    def setUp(self):
        super().setUp()
        self.model_tester = self.model_tester_class(self)

    def configure(self, **options):
        """Gives the tester's configuration other options."""
        get_config = self.model_tester.get_config
        self.model_tester.get_config = lambda: get_config(**options)

    # Attention weights exist in eager attention only; TGDI refuses `output_attentions` with any other, where
    # transformers warns and returns none. These tests ask for them without choosing an implementation.

    def test_model_outputs_equivalence(self):
        self.configure(attn_implementation="eager")
        super().test_model_outputs_equivalence()

    def test_capture_outputs_decorator(self):
        self.configure(attn_implementation="eager")
        super().test_capture_outputs_decorator()

    def test_eager_matches_sdpa_inference_24_fp32_pad_left_output_attentions(self):
        config, inputs = self.model_tester.prepare_config_and_inputs_for_common()
        for model_class in self.all_model_classes:
            with pytest.raises(ValueError, match="only in eager attention"):
                model_class(config)(**inputs, output_attentions=True)

    # Of a class outside transformers, modules without weights of their own are not initialised anew where weights are
    # missing (`_initialize_weights` with `is_custom_code`), and so not by CLIP's formula for each of its layers.
    def test_can_init_all_missing_weights(self):
        if type(self.model_tester) is TGDIModelTester:
            self.model_tester = ViTModelTester(self)
        super().test_can_init_all_missing_weights()

    # The mock in these tests replays a layer's last call for each of its calls; the text encoder runs once per forward
    # pass only without the mechanisms that read the plain text.

    def test_training_gradient_checkpointing(self):
        self.configure(use_matching_gate=False, use_text_oriented_interaction=False)
        super().test_training_gradient_checkpointing()

    def test_training_gradient_checkpointing_use_reentrant_false(self):
        self.configure(use_matching_gate=False, use_text_oriented_interaction=False)
        super().test_training_gradient_checkpointing_use_reentrant_false()

    def test_training_gradient_checkpointing_use_reentrant_true(self):
        """TGDI refuses reentrant checkpointing, which passes no gradient to the prefixes."""
        model = TGDIForRelationExtraction(self.model_tester.get_config())
        with pytest.raises(ValueError, match="Reentrant"):
            model.activation_checkpointing_enable({"use_reentrant": True})

    def test_sdpa_can_dispatch_composite_models(self):
        """Upstream's test knows a text tower by another name."""
        with patch.object(TGDIModel, "text_model", property(lambda self: self.text_encoder), create=True):
            super().test_sdpa_can_dispatch_composite_models()

    def test_problem_types(self):
        """Upstream's test, but relations are classes: regression is refused, as are its labels."""
        _, inputs = self.model_tester.prepare_config_and_inputs_for_common()
        batch = self.model_tester.batch_size
        inputs = {name: value.to(torch_device) for name, value in inputs.items()}
        labels = {
            "multi_label_classification": torch.zeros(batch, 3),
            "single_label_classification": torch.zeros(batch, dtype=torch.long),
        }
        for problem_type, values in labels.items():
            model = TGDIForRelationExtraction(self.model_tester.get_config(problem_type=problem_type))
            model.to(torch_device).train()(**inputs, labels=values.to(torch_device)).loss.backward()
            assert model.classifier.weight.grad.any()
        with pytest.raises(ValueError, match="single-label model expects integer ids"):
            model(**inputs, labels=torch.zeros(batch, 1, device=torch_device))
        with pytest.raises(Exception, match="relations are classes"):
            self.model_tester.get_config(problem_type="regression")

    def test_load_with_mismatched_shapes(self):
        """Upstream's test with the entity positions that TGDI needs beside `input_ids`."""
        config, inputs = self.model_tester.prepare_config_and_inputs_for_common()
        with tempfile.TemporaryDirectory() as folder:
            TGDIForRelationExtraction(config).save_pretrained(folder)
            with pytest.raises(RuntimeError):
                TGDIForRelationExtraction.from_pretrained(folder, num_labels=42)
            with pytest.raises(RuntimeError):
                AutoModel.from_pretrained(folder, text_config={"vocab_size": 10})
            model = AutoModelForSequenceClassification.from_pretrained(
                folder, num_labels=42, ignore_mismatched_sizes=True
            )
            assert model(**inputs).logits.shape == (self.model_tester.batch_size, 42)


class OwnLayersModelTest(TGDIModelTest):
    model_tester_class = OwnLayersModelTester
