"""Log-likelihoods of answers by a vision-language model of transformers."""

import copy
import inspect
from collections.abc import Sequence
from math import isfinite
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForImageTextToText, DynamicCache
from transformers.cache_utils import DynamicLayer, LinearAttentionLayer

from tgdi_hf.checkpoints import explain_hub_errors
from tgdi_hf.preparation.model_loading import load_with_processor

from .prompts import Question, conversation

# Trained on one image per conversation: the documentation of the model in transformers says so (LLaVA, ViP-LLaVA), or
# the model's authors do (Llama 3.2 Vision, as `mllama`).
SINGLE_IMAGE_MODELS = ("llava", "vipllava", "mllama")
# Inputs whose length along the text cannot be extended by an answer without knowledge of the model.
UNSUPPORTED_INPUTS = ("cross_attention_mask",)


class Likelihoods(NamedTuple):
    """The log-likelihood of each answer, end of the turn included, and its length in tokens."""

    sums: list[float]
    lengths: list[int]


class VisionLanguageModel:
    r"""
    A decoder that reads images as tokens of its text, with its processor and chat template.

    Args:
        model: A model of `AutoModelForImageTextToText`.
        processor: Its processor, with a chat template.
        identity: Identity of the weights, for records.
        batch_size: Answers scored in one pass.
        share_prefix: Whether a conversation is read once, and its answers continue from the cached keys and values.
            Otherwise each answer is scored in a pass of its own with the whole conversation and its images, which is
            slower, and what happens in any case if the model keeps recurrent states, which cannot be repeated.

    Raises:
        ValueError: There is no chat template, the model has an encoder for the text, or `batch_size` is below 1.
    """

    def __init__(self, model: Any, processor: Any, identity: str = "", batch_size: int = 8, share_prefix: bool = True):
        name, kind = model.config._name_or_path, model.config.model_type
        if getattr(processor, "chat_template", None) is None:
            raise ValueError(
                f"{name}: the processor has no chat template; expected a model that was tuned for conversations, often "
                "called 'instruct' or 'chat'."
            )
        if model.config.is_encoder_decoder:
            raise ValueError(f"{name} is an encoder-decoder ({kind}); expected a decoder that reads images as tokens.")
        if batch_size < 1:
            raise ValueError(f"The batch size is {batch_size}; expected 1 or more.")
        self.model, self.processor, self.identity = model.eval(), processor, identity
        self.batch_size = batch_size
        self.share_prefix = share_prefix and can_be_repeated(DynamicCache(config=model.config))
        self._arguments = inspect.signature(model.forward).parameters
        self._answers: dict[str, list[int]] = {}
        self._prompt_end: int | None = None  # the last token before an answer

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str,
        revision: str | None = None,
        dtype: str = "auto",
        device: str | None = None,
        device_map: str | None = None,
        **options: Any,
    ) -> "VisionLanguageModel":
        r"""
        Loads a model whose weights are safetensors, and its processor.

        Args:
            name_or_path: Model on the Hub or folder.
            revision: Branch, tag or commit on the Hub.
            dtype: Data type of the weights; `"auto"` keeps that of the saved weights.
            device: Device to run on; by default the accelerator, if one is available.
            device_map: As of `from_pretrained`, such as `"auto"`, in place of `device`.
            options: See the class.

        Raises:
            ValueError: `device` and `device_map` are both given, or there is no such model; or see the class.
            OSError: The weights of a folder are not safetensors.
        """
        if device is not None and device_map is not None:
            raise ValueError(f"Both a device ({device}) and a device map ({device_map}) are given; leave one out.")
        placed = {} if device_map is None else {"device_map": device_map}
        with explain_hub_errors(name_or_path):
            model, processor, identity = load_with_processor(
                AutoModelForImageTextToText,
                name_or_path,
                revision,
                dtype,
                device,
                None,
                use_safetensors=True,
                **placed,
            )
        return cls(model, processor, identity, **options)

    @property
    def reads_several_images(self) -> bool:
        """Whether the model was trained on several images per conversation."""
        return self.model.config.model_type not in SINGLE_IMAGE_MODELS

    @property
    def special_tokens(self) -> list[str]:
        """Control tokens, longest first, which a post must not contain."""
        tokens = {str(token) for token in self.processor.tokenizer.added_tokens_decoder.values() if token.special}
        tokens |= {str(token) for token in [getattr(self.processor, "image_token", None)] if token}
        return sorted(tokens, key=lambda token: (-len(token), token))

    @torch.inference_mode()
    def score(
        self,
        options: dict[str, str],
        examples: Sequence[Question],
        question: Question,
        where: str,
        example_images: bool = True,
    ) -> Likelihoods:
        r"""
        Args:
            options: The answers with their descriptions.
            examples: Answered questions that come first.
            question: The question.
            where: Names the row in messages.
            example_images: See `conversation`.

        Returns:
            The log-likelihoods, in the order of `options`.

        Raises:
            ValueError: The processor refuses the conversation or ends it with another token, it is too long for the
                model, or a likelihood is not finite; see also `answer_tokens`.
        """
        answers = [self.answer_tokens(name) for name in options]
        check_prefixes(dict(zip(options, answers)))
        inputs = self._encode(conversation(options, examples, question, example_images), where)
        length, limit = inputs["input_ids"].shape[1] + max(map(len, answers)), self._longest()
        if limit is not None and length > limit:
            raise ValueError(
                f"{where}: the conversation with an answer has {length:,} tokens; the model reads {limit:,}. Use fewer "
                "examples, or examples without images."
            )
        self._forget()
        score = self._after_shared_prefix if self.share_prefix else self._one_by_one
        sums = score(inputs, answers)
        if not all(map(isfinite, sums)):
            raise ValueError(
                f"{where}: the log-likelihoods are not finite in {self.model.dtype}. Use another data type: float32 "
                "and bfloat16 have a wider range than float16."
            )
        return Likelihoods(sums, [len(answer) for answer in answers])

    def answer_tokens(self, answer: str) -> list[int]:
        r"""
        The tokens of an answer as the chat template writes it after a question, up to the end of the turn.

        They follow from the difference between a conversation with the answer and the same one that ends where the
        answer begins: some templates separate the two by a space, which belongs to the first token of the answer.
        The end of the turn makes an answer differ from longer ones that begin alike; where the template has none, it is
        the token for the end of the text.

        Raises:
            ValueError: The template does not continue its own prompt with the answer.
        """
        if answer not in self._answers:
            asked = [{"role": "user", "content": [{"type": "text", "text": "?"}]}]
            answered = [*asked, {"role": "assistant", "content": [{"type": "text", "text": answer}]}]
            prompt = self.processor.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
            whole = self.processor.apply_chat_template(answered, tokenize=False)
            rest = whole[len(prompt) :]
            if not whole.startswith(prompt) or answer not in rest:
                raise ValueError(
                    f"The chat template of {self.model.config._name_or_path} does not continue its prompt "
                    f"({prompt[-40:]!r}) with the answer {answer!r}, as that of a model which reasons first; the "
                    "likelihood of an answer is not defined. Use a model without reasoning."
                )
            before, _, after = rest.partition(answer)
            end = after.rstrip() or self.processor.tokenizer.eos_token or ""
            tokens, start = (self._tokens(text) for text in (prompt + before + answer + end, prompt))
            if tokens[: len(start)] != start:
                raise ValueError(
                    f"The tokenizer of {self.model.config._name_or_path} merges the end of the prompt "
                    f"({prompt[-40:]!r}) with the answer {answer!r}, whose likelihood is therefore not defined."
                )
            self._answers[answer], self._prompt_end = tokens[len(start) :], start[-1]
        return self._answers[answer]

    def _tokens(self, text: str) -> list[int]:
        return self.processor.tokenizer(text, add_special_tokens=False)["input_ids"]

    def _encode(self, messages: list[dict[str, Any]], where: str) -> dict[str, torch.Tensor]:
        try:
            inputs = self.processor.apply_chat_template(
                messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
            )
        except Exception as error:  # processors and templates raise arbitrary errors
            images = sum(part["type"] == "image" for message in messages for part in message["content"])
            advice = " Examples without images may help." if images > 1 else ""
            raise ValueError(
                f"{where}: the processor of {self.model.config._name_or_path} refuses a conversation with {images} "
                f"images: {error}.{advice}"
            ) from error
        if found := [name for name in UNSUPPORTED_INPUTS if name in inputs]:
            raise ValueError(
                f"{self.model.config._name_or_path} reads images by cross-attention (`{found[0]}`); expected a model "
                "that reads them as tokens of its text."
            )
        last = inputs["input_ids"][0, -1].item()
        if last != self._prompt_end:
            token = self.processor.tokenizer.decode([last])
            raise ValueError(
                f"The tokenizer of {self.model.config._name_or_path} appends {token!r} to a prompt, which an answer "
                "could not continue; expected one for generation."
            )
        return dict(inputs.to(self.model.device, dtype=self.model.dtype))

    def _longest(self) -> int | None:
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)

    def _forget(self) -> None:
        """Resets the offset of positions that models of the Qwen family keep from their last image."""
        for module in self.model.modules():
            if getattr(module, "rope_deltas", None) is not None:
                module.rope_deltas = None

    def _log_probabilities(self, last: int, **inputs: Any) -> torch.Tensor:
        """`(B, last, vocabulary)`: of the tokens that follow each of the last ones."""
        kept = {"logits_to_keep": last} if "logits_to_keep" in self._arguments else {}
        return self.model(**inputs, **kept).logits[:, -last:].float().log_softmax(dim=-1)

    def _after_shared_prefix(self, inputs: dict[str, torch.Tensor], answers: list[list[int]]) -> list[float]:
        cache = DynamicCache(config=self.model.config)
        name = "cache" if "cache" in self._arguments else "past_key_values"  # before transformers 5.24
        first = self._log_probabilities(1, **inputs, **{name: cache}, use_cache=True)[0, 0]
        scores: list[float] = []
        for start in range(0, len(answers), self.batch_size):
            batch = answers[start : start + self.batch_size]
            # Padding on the right, which no token of an answer attends to, needs no mask.
            width = max(map(len, batch)) - 1
            read = torch.tensor([[*answer[:-1], *answer[:1] * (width + 1 - len(answer))] for answer in batch])
            found = first[[answer[0] for answer in batch]].tolist()
            if width:
                again = copy.deepcopy(cache)
                again.batch_repeat_interleave(len(batch))
                read = read.to(self.model.device)
                after = self._log_probabilities(width, input_ids=read, **{name: again}, use_cache=True)
                for row, answer in enumerate(batch):
                    places = torch.arange(len(answer) - 1)
                    found[row] += after[row, places, answer[1:]].sum().item()
            scores += found
        return scores

    def _one_by_one(self, inputs: dict[str, torch.Tensor], answers: list[list[int]]) -> list[float]:
        shape, scores = inputs["input_ids"].shape, []
        for answer in answers:
            self._forget()
            longer = dict(inputs)
            for name, value in inputs.items():
                if value.shape == shape:  # the tokens, their mask, and types, which are 0 for text
                    more = {"input_ids": answer, "attention_mask": [1] * len(answer)}.get(name, [0] * len(answer))
                    longer[name] = torch.cat([value, value.new_tensor([more])], dim=1)
            found = self._log_probabilities(len(answer) + 1, **longer, use_cache=False)[0]
            scores.append(found[torch.arange(len(answer)), answer].sum().item())
        return scores


def can_be_repeated(cache: DynamicCache) -> bool:
    """Whether all layers of a cache hold keys and values alone; recurrent states are not repeated with these."""
    return all(isinstance(one, DynamicLayer) and not isinstance(one, LinearAttentionLayer) for one in cache.layers)


def check_prefixes(answers: dict[str, list[int]]) -> None:
    """Raises `ValueError` if one answer is the beginning of another, whose likelihood it would include."""
    for one, tokens in answers.items():
        for other, longer in answers.items():
            if one != other and longer[: len(tokens)] == tokens:
                raise ValueError(
                    f"The tokens of {one!r} are the beginning of those of {other!r}, and neither the chat template nor "
                    "the tokenizer ends a turn with a token. Rename a label."
                )
