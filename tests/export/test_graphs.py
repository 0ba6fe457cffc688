import pytest
import torch

from tgdi_hf.export.graphs import OUTPUTS, graphs_of


@pytest.mark.parametrize("single", [True, False], ids=["one graph", "two graphs"])
def test_graphs_compute_what_the_model_does(source, single):
    model = source[0]
    *vision, last = graphs_of(model, single)
    assert [graph.name for graph in (*vision, last)] == (["model"] if single else ["vision", "fusion"])
    inputs = dict(last.inputs)
    with torch.no_grad():
        if vision:
            inputs["vision_features"] = vision[0].module(**vision[0].inputs)["vision_features"]
            torch.testing.assert_close(inputs["vision_features"], last.inputs["vision_features"])
        expected, found = model(**inputs), last.module(**inputs)
    assert {*found} == {name for name in OUTPUTS if expected.get(name) is not None} and "logits" in found
    for name in found:
        torch.testing.assert_close(found[name], expected[name])


def test_every_input_has_dimensions_that_vary(source):
    for graph in graphs_of(source[0]):
        assert graph.dynamic.keys() == graph.inputs.keys() and all(graph.dynamic.values())
