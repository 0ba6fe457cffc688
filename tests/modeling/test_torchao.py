"""Weights as 8-bit integers, with torchao."""

import pytest
import torch
from transformers import TorchAoConfig

from tgdi_hf import TGDIForRelationExtraction

from .conftest import tiny_inputs, tiny_model


def test_weights_of_linear_layers_become_integers(tmp_path):
    pytest.importorskip("torchao", reason="requires torchao: pip install torchao")
    from torchao.quantization import Int8WeightOnlyConfig

    model = tiny_model()
    model.save_pretrained(tmp_path)
    options = {"quantization_config": TorchAoConfig(Int8WeightOnlyConfig()), "device_map": "cpu"}
    integers = TGDIForRelationExtraction.from_pretrained(tmp_path, **options).eval()
    for linear in (integers.tgdi.text_encoder.encoder.layer[0].attention.self.query, integers.classifier):
        assert type(linear.weight) is not torch.nn.Parameter
    with torch.no_grad():
        found, expected = (of(**tiny_inputs()).logits for of in (integers, model))
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, atol=0.05 * expected.abs().max().item(), rtol=0)
