"""The pipeline `multimodal-relation-extraction`: from posts to relations, with evidence on request."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm
from transformers import Pipeline
from transformers.utils import logging

from .entity_order import is_order_unknown, symmetric_relations, tail_first_bias
from .evidence import EvidenceBuilder
from .invalid_post import InvalidPost
from .like_lengths import image_rows_of, rows_of_passes, text_rows_of
from .pipeline_options import DEFAULTS, check_numbers, check_options, posts_per_window
from .post_batch import PostBatch
from .post_containers import as_mapping_hint
from .post_reader import PostReader
from .post_results import ResultBuilder, mark_nan_scores
from .processor_options import check_same_object_features
from .relation_labels import RelationLabels
from .result_stream import ResultStream
from .scored_batch import RowStates, ScoredBatch, row_states
from .text_limits import default_limit
from .whole_folder import whole_folder

logger = logging.get_logger(__name__)

TASK = "multimodal-relation-extraction"
TEXT_INPUTS = (
    *(f"{text}{name}" for text in ("", "enhanced_") for name in ("input_ids", "attention_mask", "token_type_ids")),
    "head_index",
    "tail_index",
)
# Options of `push_to_hub` that `save_pretrained` accepts too.
PUSH_OPTIONS = ("repo_id", "commit_message", "commit_description", "private", "token", "revision", "create_pr", "tags")


class MultimodalRelationExtractionPipeline(Pipeline):
    r"""
    Predicts the relation between two entities of a post, or between all entities of a post, from text and image.

    Args:
        model: A fine-tuned `TGDIForRelationExtraction`.
        processor: Its processor.
        captioner, grounder (*optional*):
            An `ImageCaptioner` and an `ObjectGrounder`, or callables with the same signatures. They add the caption and
            the objects of posts that have an image but lack them (`None`; an empty caption or list is kept).
        options: New defaults for the options of a call.

    Example:

    ```python
    >>> from transformers import pipeline
    >>> import tgdi_hf  # registers the task; without the package: trust_remote_code=True

    >>> pipe = pipeline("multimodal-relation-extraction", model="runs/mine")
    >>> pipe({"text": "JFK and Obama at Harvard", "head": "JFK", "tail": "Harvard", "image": "post.jpg"})
    {'head': {'text': 'JFK', 'start': 0, 'end': 3}, ..., 'relation': '/per/org/member_of', 'score': 0.93, ...}
    ```
    """

    _load_processor = True  # type: ignore[assignment]  # declared as None
    _load_tokenizer = False  # type: ignore[assignment]  # declared as None
    _load_image_processor = False  # type: ignore[assignment]  # declared as None
    _load_feature_extractor = False  # type: ignore[assignment]  # declared as None

    def __init__(
        self,
        model,
        processor=None,
        *,
        captioner: Callable | None = None,
        grounder: Callable | None = None,
        **options: Any,
    ):
        if processor is None:
            raise ValueError(f"The pipeline {TASK} needs the model's processor: pass `processor`.")
        check_same_object_features(model.config, processor)
        self.model: Any
        self.processor: Any
        self.reader = PostReader(processor, captioner, grounder, max_length=_shorter_limit(model, processor))
        super().__init__(model, processor=processor, **options)
        self.model.eval()
        self.names = tuple(model.config.id2label[i] for i in range(model.config.num_labels))
        self.symmetric = symmetric_relations(self.names, model.config.symmetric_relations)
        self._undeclared: str | None = None  # the reason why the label for no relation is unknown
        if self._preprocess_params.get("negative_label", "auto") == "auto":
            try:
                self._negative("auto")
            except ValueError as error:
                self._undeclared = str(error)
                logger.warning(self._undeclared)

    def _sanitize_parameters(self, **options: Any) -> tuple[dict, dict, dict]:
        check_options(options, TASK)
        # `_settings` passes one set of options to all stages.
        return options, {}, {}

    def __call__(self, posts, **options: Any):  # type: ignore[override]  # all options by keyword
        r"""
        Args:
            posts: One post, a list of posts, or any iterable of posts: a generator, a `datasets.Dataset` or a column of
                one. A post is a mapping with

                - `text` (or `words`, a list);
                - `head` and `tail`: spans `[start, end)` in characters (or words), mentions, which occur in the text
                  once (or see `ambiguous`), or mappings as returned by token-classification pipelines; or instead
                  `entities`, a list of the same, whose pairs are all scored;
                - optionally `image` (path, PIL image, array, or the bytes of a file), `objects` (boxes on the image, or
                  images), `caption`, and `id`, which is copied to the result.
            batch_size (`int`, defaults to 16): Posts per batch.
            window (`int`, *optional*, defaults to 16 batches): Posts that are read ahead and sorted by length, so
                that texts of like length share a batch and little of it is padding. `window=1` keeps the posts of a
                batch as they arrive, for streams whose first results are awaited; so does `evidence` by default.
                Results are in the order of the posts in any case.
            max_batch_tokens (`int`, defaults to 8192): The largest number of rows, one per entity pair, times their
                padded length in one pass of the text encoder. The images of a batch pass the vision encoder once,
                whatever the number of pairs.
            num_workers (`int`, defaults to 0): Threads that open the images of the next batches.
            top_k (`int`, *optional*): The largest number of relations to list in `relations`; by default 1, or for a
                multi-label model all that reach their thresholds.
            drop_none (`bool`, defaults to `False`): Leave pairs without a relation out of `pairs`; the relation of a
                post with head and tail is then `None`.
            negative_label (`str`, *optional*, defaults to `"auto"`): The label for no relation, or `None` if every
                label is a relation; `"auto"` reads it from the model's configuration.
            threshold (`float`, *optional*): The decision threshold of a multi-label model; by default the
                `decision_thresholds` of its configuration.
            evidence (`bool`, defaults to `False`): Add evidence to the results, see below.
            strict (`bool`, defaults to `True`): Raise an error for an invalid post; `False` returns `{"error": …,
                "field": …}` in its place.
            progress (`bool`, defaults to `False`): Show a progress bar.
            pairs (`str` or `float`, defaults to `"auto"`): How the two orders of a pair are combined, see
                `tail_first_bias`.
            ambiguous (`str`, defaults to `"error"`): How a mention with several occurrences in the text is resolved:
                `"error"` rejects it and lists the occurrences; `"first"` takes the first occurrence that differs from
                the other entity; `"all"` takes every occurrence as an entity of its own. The result of a post with head
                and tail is then `{"pairs": […]}` as well, with one pair per occurrence of the head and occurrence of
                the tail, in the given order of head and tail, sorted in text order.
            truncation (`bool`, defaults to `True`): Cut a text that is too long for the model around its entities;
                with `False`, such a post is invalid.

        Returns:
            A result for one post, a list for a list, otherwise an iterator that reads posts as results are consumed. A
            result has `head` and `tail` (`text`, `start` and `end` in characters, `type` if given), `relation`, its
            `score` (a probability), `relations` (the most likely one, or for a multi-label model all that reach their
            thresholds; if none does, `relation` and `score` are `None`), and `gate`: the mean of the matching gate,
            `None` without image or gate. It estimates the probability that the images belong to the text if the model's
            configuration has `gate_is_probability`, otherwise not. The result of a post with `entities` is
            `{"pairs": […]}`, with one such result per pair of entities; head and tail are in the order of the relation,
            or in text order if it is symmetric. If parts of the post were cut, `truncated` names them: `["text"]`,
            `["caption"]` or both.

            `evidence` adds a mapping to each result, computed for head and tail in the order of the result:
            - `matching_gate`: `mean`, `std`, `quantiles` of Eq. 10 and `is_probability`; `None` without image;
            - `similarity`: A of Eq. 8, an array of shape (images, rows, columns, tokens), the image first, then its
              objects (of a model with `object_features="regions"` the image alone), in [0, 1]; `cosine`: the cosines of
              the same patches and tokens, in [-1, 1], which unlike A can be compared between posts; both `None` without
              image;
            - `tokens`: the `text` of each token, whether it is `special` (an entity marker, or a token that frames the
              text), and its mean `similarity` and `cosine` over the image; `regions`: per image and object, the mean
              share of the tokens of `head` and `tail`, and the mean `cosine` of its patches (an object that is a region
              of the image: weighted by their area in its box) and all tokens but special ones;
            - `branches`: the shares of the two interaction branches in the winning relation, see `branch_shares`;
            - `text_only`: `relation` and `score` without image and caption, by the same rules and for the same order
              of head and tail.

        Raises:
            InvalidPost: A post is invalid (a `ValueError`; `field` names the key of the post).
            ValueError: An option has an invalid value; or the label for no relation is required (`drop_none`,
                `entities`), but the configuration does not declare it although a label has a usual name for it.
        """
        one = isinstance(posts, Mapping)
        # Datasets of torch have indices and a length, but not necessarily an iterator.
        many = isinstance(posts, Iterable) or (hasattr(posts, "__getitem__") and hasattr(posts, "__len__"))
        if not one and (expected := as_mapping_hint(posts)):
            raise InvalidPost(f"The posts are a {type(posts).__name__}; expected {expected}.")
        if isinstance(posts, str | bytes) or not (one or many):
            raise InvalidPost(
                f"The post is {posts!r:.80}; expected a mapping with text, head and tail, or a list of such mappings."
            )
        rows = [posts] if one else posts if isinstance(posts, Iterable) else map(posts.__getitem__, range(len(posts)))
        results = self._stream(rows, self._settings(options))
        if one:
            return next(results)
        return list(results) if isinstance(posts, list | tuple) else results

    def _settings(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options of a call, completed by those of the constructor and the defaults, and its `labels`."""
        settings = DEFAULTS | self._preprocess_params | self._sanitize_parameters(**options)[0]
        for name, value in (("batch_size", self._batch_size), ("num_workers", self._num_workers)):
            if name not in options and value is not None:  # `Pipeline.__init__` removes them from the options
                settings[name] = value
        check_numbers(settings)
        settings["labels"] = self._labels(**settings)
        return settings

    def _negative(self, chosen: str | None) -> str | None:
        return self.model.config.find_negative(chosen)

    def _labels(
        self, negative_label: str | None, drop_none: bool, pairs: str | float, threshold: float | None, **settings: Any
    ) -> RelationLabels:
        """The labels and the interpretation of their scores in one call."""
        config = self.model.config
        undeclared = self._undeclared if negative_label == "auto" else None
        if undeclared and drop_none:
            raise ValueError(f"`drop_none` requires the label for no relation. {undeclared}")
        negative = None if undeclared else self._negative(negative_label)
        thresholds = config.thresholds
        if threshold is not None:
            if thresholds is None:
                raise ValueError(
                    "`threshold` requires a multi-label model; this model's labels are mutually exclusive."
                )
            thresholds = [float(threshold)] * len(self.names)
        elif drop_none and negative is None and thresholds is None:
            logger.warning_once("This model has no label for no relation, so `drop_none` has no effect.")
        bias = tail_first_bias(pairs, config)
        return RelationLabels(self.names, self.symmetric, negative, bias, thresholds, undeclared)

    def read(self, posts: Iterable[tuple[int, Any]], **options: Any) -> PostBatch:
        r"""
        Reads one batch of posts, as `__call__` does before the model runs.

        Args:
            posts: Pairs of the post's number, for messages, and the post.
            options: See `__call__`.
        """
        return self.preprocess(list(posts), **self._settings(options))

    def results(self, batch: PostBatch, **options: Any) -> list[dict[str, Any]]:
        r"""
        Runs the model on a batch from `read`, or from a `PostReader` in another process.

        Args:
            batch: The batch.
            options: See `__call__`; those of reading have no effect.

        Returns:
            One result per post.
        """
        return self._results(batch, self._settings(options))

    def _results(self, batch: PostBatch, settings: dict[str, Any]) -> list[dict[str, Any]]:
        return self.postprocess(self.forward(batch, **settings), **settings)

    def _stream(self, posts: Iterable, settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
        total = len(posts) if isinstance(posts, Sized) else None
        # A captioner or grounder shares the device with the model, so reading does not run in parallel.
        workers = 0 if self.reader.captioner or self.reader.grounder else settings["num_workers"]
        window = posts_per_window(settings["batch_size"], settings["window"], settings["evidence"])
        with tqdm(total=total, unit=" posts", disable=not settings["progress"]) as bar:
            yield from ResultStream(
                self.reader,
                lambda batch: self._results(batch, {**settings, "strict": False}),
                settings["batch_size"],
                window,
                workers,
                settings["strict"],
                settings["ambiguous"],
                settings["truncation"],
                bar.update,
            )(posts)

    def preprocess(  # type: ignore[override]  # a batch of numbered posts in place of one input
        self, posts: list[tuple[int, Any]], strict: bool, ambiguous: str, truncation: bool, **settings: Any
    ) -> PostBatch:
        """See `PostReader`."""
        return self.reader(posts, strict, ambiguous, truncation)

    def _ensure_tensor_on_device(self, inputs, device):
        """Moves a batch between devices; transformers only moves its own containers."""
        return inputs.to(device)

    def _forward(  # type: ignore[override]  # typed batches in place of a mapping of tensors
        self, batch: PostBatch, max_batch_tokens: int, evidence: bool, labels: RelationLabels, **settings: Any
    ) -> ScoredBatch:
        inputs = batch.inputs
        if inputs is None:
            return ScoredBatch(batch.posts)
        images = self._image_inputs(inputs)
        text = {name: value for name, value in inputs.items() if name in TEXT_INPUTS}
        probabilities: list[torch.Tensor] = []
        text_only: list[torch.Tensor] = []
        gates: list[torch.Tensor] = []
        states: list[RowStates] = []
        passes = self._passes(text, max_batch_tokens)
        for rows in passes:
            part = text if len(passes) == 1 else text_rows_of(text, rows)
            image_part = images if len(passes) == 1 else image_rows_of(images, rows)
            outputs = self.model(**part, **image_part, output_hidden_states=evidence)
            probabilities.append(labels.probabilities(outputs.logits.float()))
            if outputs.matching_gate is not None:
                gates.append(outputs.matching_gate.float())
            if evidence:
                plain = {name: value for name, value in part.items() if not name.startswith("enhanced_")}
                text_only.append(labels.probabilities(self.model(**plain).logits.float()))
                states += row_states(part, outputs, self.model.config.use_result_fusion)
        place = torch.cat(passes).argsort()  # of each row in the order of the passes
        size = inputs["pixel_values"].shape[-2:] if images else None
        return ScoredBatch(
            batch.posts,
            probabilities=torch.cat(probabilities)[place],
            text_only=torch.cat(text_only)[place] if text_only else None,
            gates=torch.cat(gates)[place] if gates and images else None,
            image_mask=images.get("image_mask"),
            image_size=None if size is None else (size[0], size[1]),
            states=[states[i] for i in place.tolist()] if states else [],
        )

    @staticmethod
    def _passes(text: Mapping[str, torch.Tensor], max_tokens: int) -> list[torch.Tensor]:
        """The rows of each forward pass. A batch that fits is one pass; its lengths stay on the device."""
        masks = [text[name] for name in ("attention_mask", "enhanced_attention_mask") if name in text]
        device = masks[0].device
        if max(mask.numel() for mask in masks) <= max_tokens:
            return [torch.arange(len(masks[0]), device=device)]
        lengths = torch.stack([mask.sum(dim=1) for mask in masks]).amax(dim=0).tolist()
        return [torch.tensor(rows, device=device) for rows in rows_of_passes(lengths, max_tokens)]

    def _image_inputs(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The vision features of the distinct images of a batch, and their index."""
        if "pixel_values" not in inputs or not self.model.config.uses_vision:
            return {}
        features = self.model.get_vision_features(inputs["pixel_values"])
        names = [name for name in ("image_index", "image_mask", "object_boxes") if name in inputs]
        return {"vision_features": features} | {name: inputs[name] for name in names}

    def postprocess(  # type: ignore[override]  # typed batches in place of a mapping of tensors
        self,
        batch: ScoredBatch,
        labels: RelationLabels,
        top_k: int | None,
        drop_none: bool,
        evidence: bool,
        strict: bool,
        pairs: str | float,
        **settings: Any,
    ) -> list[dict[str, Any]]:
        """One result per post of the batch."""
        all_pairs = pairs == "auto" and any(post.all_pairs for post in batch.posts)
        if all_pairs and labels.negative is not None and is_order_unknown(self.model.config):
            logger.warning_once(
                "This model was not trained on both orders of every pair, and its configuration has no "
                "`tail_first_bias`: if its training data list unrelated pairs in text order, as MNRE does, it finds "
                "relations where there are none. Set `pairs`: 'mnre' for a model trained on MNRE, 'independent' if the "
                "order of a pair says nothing, or the number that `estimate_tail_first_bias` counts in its training "
                "rows; or train with `tgdi train --both-orders`."
            )
        mark_nan_scores(batch, strict)
        with_evidence = EvidenceBuilder(self.model, self.processor.tokenizer) if evidence else None
        builder = ResultBuilder(batch, labels, top_k, drop_none, with_evidence)
        return [builder.result(post) for post in batch.posts]

    def save_pretrained(self, save_directory, push_to_hub: bool = False, **kwargs: Any) -> None:
        r"""
        Saves the model in its current dtype, its processor, and the code of all three, for `trust_remote_code=True`.
        The options of this pipeline, its captioner and its grounder are not saved; pass them again on loading.

        Args:
            save_directory (`str` or `os.PathLike`): A folder; created if it does not exist. If saving fails, it remains
                unchanged.
            push_to_hub (`bool`, *optional*, defaults to `False`): Also upload the folder, in one commit, to `repo_id`,
                by default the name of the folder.
            kwargs: Options for saving the model (`max_shard_size`, `variant`); with `push_to_hub` also those of that
                method.

        Raises:
            NotADirectoryError: `save_directory` is a file.
        """
        push_options = {name: kwargs.pop(name) for name in PUSH_OPTIONS if name in kwargs}
        if push_options and not push_to_hub:
            raise TypeError(f"`{'`, `'.join(push_options)}` would have no effect: pass `push_to_hub=True` as well.")
        with whole_folder(save_directory) as folder:
            self.model.save_pretrained(folder, **kwargs)
            self.processor.save_pretrained(folder)
        if push_to_hub:
            options = {"max_shard_size": kwargs["max_shard_size"]} if "max_shard_size" in kwargs else {}
            self.push_to_hub(push_options.pop("repo_id", Path(save_directory).name), **push_options, **options)


def _shorter_limit(model, processor) -> int | None:
    """
    The limit of the model in tokens if that of the processor exceeds it; otherwise the first long post would abort a
    run.
    """
    limit, positions = processor.max_length or default_limit(processor.tokenizer), model.config.max_text_length
    if limit <= positions:
        return None
    logger.warning(
        f"The processor cuts texts at {limit} tokens, but the text encoder has positions for {positions}, so the "
        f"pipeline cuts them there. Set `processor.max_length = {positions}` for training as well."
    )
    return positions
