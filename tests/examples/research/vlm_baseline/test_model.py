import copy

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import DynamicCache, Qwen3_5TextConfig

from examples.research.vlm_baseline.model import VisionLanguageModel, can_be_repeated, check_prefixes
from examples.research.vlm_baseline.prompts import Question, conversation

from ....preparation.tiny_checkpoints import florence2
from ....processing.conftest import byte_level
from .tiny_models import MODELS, idefics3

OPTIONS = {"None": "nothing", "/per/per/peer": "peers", "/per/per/couple": "a couple", "/org/org/subsidiary": "owned"}
# The tokens that end a turn in each template; LLaVA's has none, and the end of the text stands in for it.
ENDS = {"idefics3": "<end_of_utterance>", "qwen2_vl": "<|im_end|>", "gemma3": "<|im_end|>", "llava": "</s>"}
SPACES = {"idefics3": " ", "qwen2_vl": "", "gemma3": "", "llava": " "}


def noise(seed, width=40, height=24):
    generator = np.random.default_rng(seed)
    return Image.fromarray(generator.integers(0, 255, (height, width, 3), dtype=np.uint8))


EXAMPLE = Question("Post: one", noise(1, 30, 30), "/per/per/peer")
CASES = {  # in this order, so that a text follows an image
    "image": ([], Question("Post: two", noise(2))),
    "text": ([], Question("Post: two")),
    "image after an example": ([EXAMPLE], Question("Post: two", noise(2))),
    "text after an example": ([EXAMPLE], Question("Post: two")),
}


@pytest.fixture(scope="module", params=MODELS)
def loaded(request):
    return request.param, *MODELS[request.param]()


@pytest.fixture(scope="module")
def tiny():
    return idefics3()


def reference(kind, model, processor, examples, question):
    """The whole conversation with each answer as one text, read by a new copy of the model."""
    messages = conversation(OPTIONS, examples, question)
    images = [part["image"] for message in messages for part in message["content"] if part["type"] == "image"]
    prompt = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    scores = []
    for name in OPTIONS:
        text = prompt + SPACES[kind] + name + ENDS[kind]
        inputs = processor(text=[text], images=[images] if images else None, return_tensors="pt")
        ids = inputs["input_ids"][0].tolist()
        length = len(processor.tokenizer(SPACES[kind] + name + ENDS[kind], add_special_tokens=False)["input_ids"])
        with torch.no_grad():
            logits = copy.deepcopy(model)(**inputs).logits[0]
        total = 0.0
        for place in range(len(ids) - length, len(ids)):
            total += torch.log_softmax(logits[place - 1].double(), dim=0)[ids[place]].item()
        scores.append((total, length))
    return scores


def test_likelihoods_are_those_of_the_whole_text(loaded):
    kind, model, processor = loaded
    by_hand = {case: [*zip(*reference(kind, model, processor, *CASES[case]))] for case in CASES}
    for batch_size, shared in ((8, True), (3, True), (1, True), (8, False)):
        scorer = VisionLanguageModel(model, processor, batch_size=batch_size, share_prefix=shared)
        for case, (examples, question) in CASES.items():
            found = scorer.score(OPTIONS, examples, question, "row 0")
            expected, lengths = by_hand[case]
            assert found.sums == pytest.approx(expected, rel=1e-5), case
            assert found.lengths == list(lengths), case
    assert found == scorer.score(OPTIONS, examples, question, "row 0")


def test_image_and_example_change_the_likelihoods(loaded):
    _, model, processor = loaded
    scorer = VisionLanguageModel(model, processor)
    scores = [scorer.score(OPTIONS, *case, "row 0").sums for case in CASES.values()]
    scores.append(scorer.score(OPTIONS, [], Question("Post: two", noise(3)), "row 0").sums)
    scores.append(scorer.score(OPTIONS, [EXAMPLE], CASES["text"][1], "row 0", example_images=False).sums)
    assert all(abs(one[0] - two[0]) > 1e-3 for i, one in enumerate(scores) for two in scores[:i])


def test_answers_are_written_as_by_the_template(loaded):
    kind, model, processor = loaded
    tokens = VisionLanguageModel(model, processor).answer_tokens("/per/per/peer")
    assert processor.tokenizer.decode(tokens) == SPACES[kind] + "/per/per/peer" + ENDS[kind]
    assert processor.tokenizer.decode(tokens[-1:]) == ENDS[kind]


def test_the_images_are_encoded_once_per_question(tiny):
    model, processor = tiny
    seen = []
    handle = model.model.vision_model.register_forward_hook(lambda *_: seen.append(1))
    VisionLanguageModel(model, processor, batch_size=1).score(OPTIONS, *CASES["image"], "row 0")
    handle.remove()
    assert len(seen) == 1


def test_a_post_cannot_write_control_tokens(tiny):
    model, processor = tiny
    special = VisionLanguageModel(model, processor).special_tokens
    assert {"<image>", "<end_of_utterance>", "</s>"} <= set(special)
    assert list(map(len, special)) == sorted(map(len, special), reverse=True)


def test_answers_of_one_token(tiny, monkeypatch):
    scorer = VisionLanguageModel(*tiny)
    scorer.answer_tokens("None")
    monkeypatch.setattr(scorer, "answer_tokens", {"a": [50], "b": [60]}.__getitem__)
    found = scorer.score({"a": "", "b": ""}, *CASES["image"], "row 0")
    scorer.share_prefix = False
    assert found.lengths == [1, 1]
    assert found.sums == pytest.approx(scorer.score({"a": "", "b": ""}, *CASES["image"], "row 0").sums, rel=1e-5)


def test_models_without_an_argument_for_the_last_logits(tiny):
    scorer = VisionLanguageModel(*tiny)
    found = scorer.score(OPTIONS, *CASES["image"], "row 0")
    scorer._arguments = {"cache": None} if "cache" in scorer._arguments else {}
    assert scorer.score(OPTIONS, *CASES["image"], "row 0").sums == pytest.approx(found.sums, rel=1e-6)


@pytest.mark.parametrize(("kind", "several"), [("idefics3", True), ("llava", False)])
def test_models_of_one_image_per_conversation_are_known(kind, several):
    assert VisionLanguageModel(*MODELS[kind]()).reads_several_images == several


# Bad input


def test_a_processor_without_template_is_refused(tiny):
    model, processor = tiny
    processor = copy.copy(processor)
    processor.chat_template = None
    with pytest.raises(ValueError, match="the processor has no chat template; expected a model that was tuned"):
        VisionLanguageModel(model, processor)


def test_an_encoder_decoder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no chat template|is an encoder-decoder"):
        VisionLanguageModel.from_pretrained(str(florence2(tmp_path)))


@pytest.mark.parametrize("size", [0, -1])
def test_batches_have_an_answer(tiny, size):
    with pytest.raises(ValueError, match=f"The batch size is {size}; expected 1 or more"):
        VisionLanguageModel(*tiny, batch_size=size)


@pytest.mark.parametrize("template", ["USER: {{ messages[0]['content'][0]['text'] }}", "{{ messages | length }}"])
def test_a_template_that_does_not_continue_its_prompt_is_refused(tiny, template):
    model, processor = tiny
    processor = copy.copy(processor)
    processor.chat_template = template
    with pytest.raises(ValueError, match="does not continue its prompt .* with the answer 'None'"):
        VisionLanguageModel(model, processor).answer_tokens("None")


def test_a_tokenizer_that_merges_prompt_and_answer_is_refused(tiny, monkeypatch):
    scorer = VisionLanguageModel(*tiny)
    monkeypatch.setattr(scorer, "_tokens", lambda text: [len(text)])
    with pytest.raises(ValueError, match="merges the end of the prompt .* with the answer 'None'"):
        scorer.answer_tokens("None")


def test_a_tokenizer_that_ends_the_prompt_is_refused():
    model, processor = idefics3()
    processor.tokenizer.backend_tokenizer.post_processor = byte_level().backend_tokenizer.post_processor
    with pytest.raises(ValueError, match="appends '</s>' to a prompt, which an answer could not continue"):
        VisionLanguageModel(model, processor).score(OPTIONS, *CASES["text"], "row 0")


def test_answers_that_begin_alike_need_an_end():
    with pytest.raises(ValueError, match="The tokens of 'a' are the beginning of those of 'ab'"):
        check_prefixes({"ab": [1, 2], "a": [1], "c": [3]})
    check_prefixes({"ab": [1, 2, 0], "a": [1, 0]})


def test_a_conversation_that_is_too_long_is_refused(tiny):
    scorer = VisionLanguageModel(*tiny)
    limit = scorer.model.config.get_text_config().max_position_embeddings
    with pytest.raises(ValueError, match=f"row 5: the conversation with an answer has .* the model reads {limit:,}"):
        scorer.score(OPTIONS, [], Question("x y " * limit), "row 5")


def test_an_error_of_the_processor_names_the_row(tiny):
    examples = [EXAMPLE._replace(image="no image")]
    with pytest.raises(ValueError, match="row 6: the processor of .* refuses a conversation with 2 images.*may help"):
        VisionLanguageModel(*tiny).score(OPTIONS, examples, CASES["image"][1], "row 6")


def test_models_with_cross_attention_are_refused(tiny, monkeypatch):
    monkeypatch.setattr("examples.research.vlm_baseline.model.UNSUPPORTED_INPUTS", ("pixel_values",))
    with pytest.raises(ValueError, match="reads images by cross-attention"):
        VisionLanguageModel(*tiny).score(OPTIONS, *CASES["image"], "row 0")


def test_likelihoods_that_are_not_finite_are_refused():
    model, processor = idefics3()
    with torch.no_grad():
        model.lm_head.weight[0] = float("nan")
    with pytest.raises(ValueError, match="row 0: the log-likelihoods are not finite in torch.float32"):
        VisionLanguageModel(model, processor).score(OPTIONS, *CASES["text"], "row 0")


# Loading


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("idefics3")
    for part in tiny:
        part.save_pretrained(folder)
    return folder


def test_a_checkpoint_is_loaded(tiny, folder):
    scorer = VisionLanguageModel.from_pretrained(str(folder), device="cpu")
    assert scorer.identity.startswith("sha256:")
    assert scorer.score(OPTIONS, *CASES["image"], "row 0").sums == pytest.approx(
        VisionLanguageModel(*tiny).score(OPTIONS, *CASES["image"], "row 0").sums, rel=1e-5
    )
    mapped = VisionLanguageModel.from_pretrained(str(folder), dtype="bfloat16", device_map="cpu")
    assert mapped.model.dtype == torch.bfloat16
    assert all(np.isfinite(mapped.score(OPTIONS, *CASES["image"], "row 0").sums))


def test_only_safetensors_and_no_remote_code(folder, monkeypatch):
    def stop(*args, trust_remote_code, use_safetensors, **options):
        raise ValueError(f"{trust_remote_code}, {use_safetensors}")

    monkeypatch.setattr("examples.research.vlm_baseline.model.AutoModelForImageTextToText.from_pretrained", stop)
    with pytest.raises(ValueError, match="False, True"):
        VisionLanguageModel.from_pretrained(str(folder))


def test_a_cache_with_recurrent_states_is_not_repeated(tiny, monkeypatch):
    model, processor = tiny
    text = Qwen3_5TextConfig(layer_types=["linear_attention", "full_attention"], num_hidden_layers=2)
    assert not can_be_repeated(DynamicCache(config=text))
    assert can_be_repeated(DynamicCache(config=model.config)) and VisionLanguageModel(*tiny).share_prefix
    monkeypatch.setattr("examples.research.vlm_baseline.model.can_be_repeated", lambda cache: False)
    assert not VisionLanguageModel(model, processor).share_prefix


def test_bad_checkpoints_are_refused(tiny, folder, tmp_path):
    with pytest.raises(ValueError, match=r"Both a device \(cpu\) and a device map \(auto\) are given"):
        VisionLanguageModel.from_pretrained(str(folder), device="cpu", device_map="auto")
    with pytest.raises(ValueError, match="The revision 'v1' applies to the Hub"):
        VisionLanguageModel.from_pretrained(str(folder), revision="v1")
    with pytest.raises(ValueError, match="nobody/nothing: no such folder, and no model of that name"):
        VisionLanguageModel.from_pretrained("nobody/nothing")
    model, processor = tiny
    model.config.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        VisionLanguageModel.from_pretrained(str(tmp_path))
