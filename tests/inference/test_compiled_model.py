import copy
import os

import pytest
import torch
from torch._dynamo.utils import counters
from torch.fx.experimental import _config as symbolic_shapes

from tgdi_hf.inference.compiled_model import MAX_GRAPHS, compile_model

from ..modeling.conftest import IMAGE, tiny_inputs, tiny_model

# Posts, tokens, caption tokens, slots, distinct images. In the first batch posts, slots and images are equally many,
# so that sizes which are equal there by chance have to differ later.
FIRST = (4, 9, 4, 4, 4)
OTHERS = [(5, 12, 7, 3, 9), (3, 17, 2, 4, 2), (7, 8, 3, 2, 11), (2, 20, 9, 3, 5), (8, 8, 8, 4, 8), (6, 31, 5, 2, 2)]


@pytest.fixture(autouse=True)
def _own_compilations():
    """Compiled graphs, counters and settings of the process end with the test."""
    before = torch._dynamo.config.recompile_limit, symbolic_shapes.use_duck_shape
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()
    torch._dynamo.config.recompile_limit, symbolic_shapes.use_duck_shape = before


def batch_of(posts, length, caption, slots, images):
    inputs = tiny_inputs(posts, length, caption, slots)
    generator = torch.Generator().manual_seed(2)
    inputs["pixel_values"] = torch.randn(images, 3, IMAGE, IMAGE, generator=generator)
    inputs["image_index"] = torch.randint(images, (posts, slots), generator=generator)
    return inputs


@torch.no_grad()
def logits_of(model, inputs):
    """As the pipeline computes them: each distinct image passes the vision encoder once."""
    rest = {name: value for name, value in inputs.items() if name != "pixel_values"}
    return model(**rest, vision_features=model.get_vision_features(inputs["pixel_values"])).logits


def compiled_copy(model, **options):
    return compile_model(copy.deepcopy(model), **options)


@pytest.mark.slow
def test_batches_of_other_sizes_do_not_compile_again():
    model = tiny_model()
    compiled = compiled_copy(model, backend="eager")
    torch.testing.assert_close(logits_of(compiled, batch_of(*FIRST)), logits_of(model, batch_of(*FIRST)))
    graphs = counters["stats"]["unique_graphs"]
    assert graphs == 2  # the vision encoder, and the rest
    assert not counters["graph_break"]
    with torch._dynamo.config.patch(error_on_recompile=True):
        for size in OTHERS:
            torch.testing.assert_close(logits_of(compiled, batch_of(*size)), logits_of(model, batch_of(*size)))
    assert counters["stats"]["unique_graphs"] == graphs


@pytest.mark.slow
def test_every_form_of_a_batch_is_compiled_once():
    model = tiny_model()
    compiled = compiled_copy(model, backend="eager")
    text = {name: value for name, value in batch_of(*FIRST).items() if not name.startswith(("pixel", "image"))}
    plain = {name: value for name, value in text.items() if not name.startswith("enhanced")}
    with torch.no_grad():
        for inputs in (text, plain, {name: value[:1] for name, value in text.items()}):
            torch.testing.assert_close(compiled(**inputs).logits, model(**inputs).logits)
        assert counters["stats"]["unique_graphs"] == 3
        with torch._dynamo.config.patch(error_on_recompile=True):
            for length in (8, 15, 30):
                inputs = {name: value[:1] for name, value in tiny_inputs(2, length, images=False).items()}
                torch.testing.assert_close(compiled(**inputs).logits, model(**inputs).logits)


@pytest.mark.slow
def test_regions_and_the_pipeline(pipe_with_regions, corpus):
    posts = [{**corpus["test"][i], "id": i} for i in range(12)]
    expected = pipe_with_regions(posts, batch_size=5)
    compile_model(pipe_with_regions.model, backend="eager")
    found = pipe_with_regions(posts, batch_size=5)
    assert counters["stats"]["unique_graphs"] >= 2
    assert [one["relation"] for one in found] == [one["relation"] for one in expected]
    assert [one["score"] for one in found] == pytest.approx([one["score"] for one in expected], abs=1e-5)


def test_settings_of_the_process():
    torch._dynamo.config.recompile_limit = 8
    compiled_copy(tiny_model(), backend="eager")
    assert torch._dynamo.config.recompile_limit == MAX_GRAPHS and not symbolic_shapes.use_duck_shape
    torch._dynamo.config.recompile_limit = MAX_GRAPHS + 1
    compiled_copy(tiny_model(use_visual_prompts=False, use_matching_gate=False), backend="eager")
    assert torch._dynamo.config.recompile_limit == MAX_GRAPHS + 1


def test_a_missing_compiler_is_reported_before_the_first_batch(monkeypatch):
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", (os.path.join(os.sep, "no", "such", "compiler"),))
    with pytest.raises(OSError, match="requires a C\\+\\+ compiler, and none was found: install g\\+\\+"):
        compile_model(tiny_model())


def test_other_models_are_refused():
    with pytest.raises(TypeError, match="got a Linear. Only a model in PyTorch can be compiled"):
        compile_model(torch.nn.Linear(1, 1))
