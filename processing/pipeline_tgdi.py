"""The pipeline `multimodal-relation-extraction`: posts in, relations out, and on request the reasons."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from numbers import Real
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm
from transformers import Pipeline
from transformers.utils import logging

from .entity_markers import ENTITY_MARKERS
from .entity_order import symmetric_relations, tail_first_bias
from .entity_types import allowed_relations
from .evidence import branch_shares, gate_summary, similarity_maps
from .invalid_post import InvalidPost
from .post_containers import as_mapping_hint
from .post_reader import Post, PostReader
from .post_text import Entity, check_ambiguous
from .prefetch import prefetch
from .relation_labels import RelationLabels
from .text_rows import default_limit
from .whole_folder import whole_folder

logger = logging.get_logger(__name__)

TASK = "multimodal-relation-extraction"
TEXT_INPUTS = (
    *(f"{text}{name}" for text in ("", "enhanced_") for name in ("input_ids", "attention_mask", "token_type_ids")),
    "head_index",
    "tail_index",
)
NO_RELATION = {"relation": None, "score": None}
# Options of `push_to_hub` that saving takes as well.
OF_PUSH = ("repo_id", "commit_message", "commit_description", "private", "token", "revision", "create_pr", "tags")
DEFAULTS = {
    "batch_size": 16,
    "rows_per_pass": 64,
    "num_workers": 0,
    "top_k": None,
    "drop_none": False,
    "evidence": False,
    "strict": True,
    "progress": False,
    "pairs": "auto",
    "negative_label": "auto",
    "threshold": None,
    "ambiguous": "error",
    "truncation": True,
}


class MultimodalRelationExtractionPipeline(Pipeline):
    r"""
    Names the relation between two entities of a post, or between all entities of a post, from text and image.

    Args:
        model: A fine-tuned `TGDIForRelationExtraction`.
        processor: Its processor.
        captioner, grounder (*optional*):
            An `ImageCaptioner` and an `ObjectGrounder`, or what else is called as they are. They make the captions and
            the objects of posts with an image that come without (`None`; an empty caption or list is kept).
        options: Any option of a call, as its default.

    Example:

    ```python
    >>> from transformers import pipeline
    >>> import tgdi_hf  # registers the task; without the package: trust_remote_code=True

    >>> pipe = pipeline("multimodal-relation-extraction", model="runs/mine")
    >>> pipe({"text": "JFK and Obama at Harvard", "head": "JFK", "tail": "Harvard", "image": "post.jpg"})
    {'head': {'text': 'JFK', 'start': 0, 'end': 3}, ..., 'relation': '/per/org/member_of', 'score': 0.93, ...}
    ```
    """

    _load_processor = True
    _load_tokenizer = False
    _load_image_processor = False
    _load_feature_extractor = False

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
        self.reader = PostReader(processor, captioner, grounder, max_length=_shorter_limit(model, processor))
        super().__init__(model, processor=processor, **options)
        self.model.eval()
        self.names = tuple(model.config.id2label[i] for i in range(model.config.num_labels))
        self.symmetric = symmetric_relations(self.names, model.config.symmetric_relations)
        self._undeclared = None  # what is wrong where nothing says which label stands for no relation
        if self._preprocess_params.get("negative_label", "auto") == "auto":
            try:
                self._negative("auto")
            except ValueError as error:
                self._undeclared = str(error)
                logger.warning(self._undeclared)

    def _sanitize_parameters(self, **options: Any) -> tuple[dict, dict, dict]:
        unknown = options.keys() - DEFAULTS.keys()
        if unknown:
            raise TypeError(
                f"The pipeline {TASK} has no option {', '.join(sorted(unknown))}; it has {', '.join(DEFAULTS)}."
            )
        _check_numbers(options)
        check_ambiguous(options.get("ambiguous", "error"))
        if not isinstance(options.get("truncation", True), bool):
            raise ValueError(f"`truncation` is {options['truncation']!r}; expected True or False.")
        # Every stage takes its own from one set of options.
        return options, {}, {}

    def __call__(self, posts, **options: Any):
        r"""
        Args:
            posts: One post, a list of them, or anything that gives one after the other: a generator, a
                `datasets.Dataset` or a column of one. A post is a mapping with

                - `text` (or `words`, a list);
                - `head` and `tail`: spans `[start, end)` of characters (or words), or what the entities are called
                  where they are in the text once (or see `ambiguous`), or mappings as token-classification pipelines
                  give them; or instead `entities`, a list of such, for all pairs among them;
                - and if there are any `image` (path, PIL image, array, or the bytes of a file), `objects` (boxes on the
                  image, or images) and `caption`; and `id`, which is passed on.
            batch_size (`int`, defaults to 16): Posts that are read together.
            rows_per_pass (`int`, defaults to 64): The most pairs in one run of the text encoder; the images of a
                batch go through the vision encoder once, whatever the number of pairs.
            num_workers (`int`, defaults to 0): Threads that open the images of the batches to come.
            top_k (`int`, *optional*): The most relations to list in `relations`; by default one, of a multi-label
                model all that hold.
            drop_none (`bool`, defaults to `False`): Leave pairs without relation out of `pairs`; a post with head and
                tail then has `None` as its relation.
            negative_label (`str`, *optional*, defaults to `"auto"`): The label that stands for no relation, or `None`
                if every label is a relation; `"auto"`: as the model's configuration says.
            threshold (`float`, *optional*): Of a multi-label model: the least probability of a relation that holds;
                by default as the model's configuration says (`decision_thresholds`).
            evidence (`bool`, defaults to `False`): Say why: see below.
            strict (`bool`, defaults to `True`): Stop at a post that can't be used; `False` puts `{"error": …, "field":
                …}` in its place.
            progress (`bool`, defaults to `False`): Show a bar.
            pairs (`str` or `float`, defaults to `"auto"`): How the two orders of a pair are combined, see
                `tail_first_bias`.
            ambiguous (`str`, defaults to `"error"`): What to do about an entity that is given by what it is called, and
                is in the text more than once: `"error"` says where; `"first"` takes the first place that the other
                entity does not have; `"all"` takes every place as an entity of its own. A post with head and tail then
                gives `{"pairs": […]}`, too, with a result for every place of the head with every place of the tail, as
                given, in the order of the text.
            truncation (`bool`, defaults to `True`): Cut a text that is too long for the model around its entities;
                `False`: such a post can't be used.

        Returns:
            For one post a result, for a list a list, else an iterator that reads on as results are taken. A result has
            `head` and `tail` (`text`, `start` and `end` in characters, `type` if given), `relation`, its `score` (a
            probability), `relations` (the best, of a multi-label model those that hold; if none does, `relation` and
            `score` are `None`), and `gate`: the mean of the matching gate, how much of the fused states the text let
            through, `None` without image or gate. That of a post with `entities` is `{"pairs": […]}`, with one such
            result for every two; head and tail are in the order of the relation, or if that holds both ways in the
            order of the text. Where something was too long for the model and was cut, `truncated` says what:
            `["text"]`, `["caption"]` or both.

            `evidence` adds to each a mapping of what there was when head and tail were read in the order of the result:
            - `matching_gate`: `mean`, `std`, `quantiles` of Eq. 10; `None` without image;
            - `similarity`: A of Eq. 8, an array of shape (images, rows, columns, tokens), the image first and then
              its objects; `tokens`: the `text` of each, and its mean `similarity` over the image; `regions`: the mean
              share that the words of `head` and `tail` have in each image;
            - `branches`: the shares of the two interaction branches in the winner, see `branch_shares`;
            - `text_only`: `relation` and `score` without image and caption, by the same rules and for the same order
              of head and tail.

        Raises:
            InvalidPost: A post that can't be used (`ValueError`; its `field` says what is wrong).
            ValueError: An option that can't be; or `drop_none` or `entities` with a model of which nothing says which
                label stands for no relation, while one has a name that usually does.
        """
        one = isinstance(posts, Mapping)
        # Datasets of torch have places and a length, and need not say how they are iterated over.
        many = isinstance(posts, Iterable) or (hasattr(posts, "__getitem__") and hasattr(posts, "__len__"))
        if not one and (expected := as_mapping_hint(posts)):
            raise InvalidPost(f"The posts are a {type(posts).__name__}; expected {expected}.")
        if isinstance(posts, str | bytes) or not (one or many):
            raise InvalidPost(
                f"The post is {posts!r:.80}; expected a mapping with text, head and tail, or a list of such."
            )
        settings = DEFAULTS | self._preprocess_params | self._sanitize_parameters(**options)[0]
        for name, value in (("batch_size", self._batch_size), ("num_workers", self._num_workers)):
            if name not in options and value is not None:  # from the constructor, which takes them out of the options
                settings[name] = value
        _check_numbers(settings)
        settings["labels"] = self._labels(**settings)
        rows = [posts] if one else posts if isinstance(posts, Iterable) else map(posts.__getitem__, range(len(posts)))
        results = self._stream(rows, settings)
        if one:
            return next(results)
        return list(results) if isinstance(posts, list | tuple) else results

    def _negative(self, chosen: str | None) -> str | None:
        return self.model.config.find_negative(chosen)

    def _labels(
        self, negative_label: str | None, drop_none: bool, pairs: str | float, threshold: float | None, **settings: Any
    ) -> RelationLabels:
        """How scores are read in a call."""
        config = self.model.config
        undeclared = self._undeclared if negative_label == "auto" else None
        if undeclared and drop_none:
            raise ValueError(f"`drop_none` needs to know which label stands for no relation. {undeclared}")
        negative = None if undeclared else self._negative(negative_label)
        thresholds = config.thresholds
        if threshold is not None:
            if thresholds is None:
                raise ValueError("`threshold` is for multi-label models; the labels of this one exclude each other.")
            thresholds = [float(threshold)] * len(self.names)
        elif drop_none and negative is None and thresholds is None:
            logger.warning_once("No label of this model stands for no relation, so `drop_none` leaves nothing out.")
        bias = tail_first_bias(pairs, config, [name for name in self.names if name != negative])
        return RelationLabels(self.names, self.symmetric, negative, bias, thresholds, undeclared)

    def _stream(self, posts: Iterable, settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
        total = len(posts) if hasattr(posts, "__len__") else None
        # A model that makes captions takes turns with this one.
        workers = 0 if self.reader.captioner or self.reader.grounder else settings["num_workers"]
        with tqdm(total=total, unit=" posts", disable=not settings["progress"]) as bar:
            for batch in prefetch(lambda rows: self.preprocess(rows, **settings), _batches(posts, settings), workers):
                results = self.postprocess(self.forward(batch, **settings), **settings)
                bar.update(len(results))
                yield from results

    def preprocess(
        self, posts: list[tuple[int, Any]], strict: bool, ambiguous: str, truncation: bool, **settings: Any
    ) -> dict[str, Any]:
        """See `PostReader`."""
        return self.reader(posts, strict, ambiguous, truncation)

    def _forward(
        self, batch: dict[str, Any], rows_per_pass: int, evidence: bool, labels: RelationLabels, **settings: Any
    ) -> dict[str, Any]:
        inputs = batch["inputs"]
        if inputs is None:
            return {"posts": batch["posts"]}
        images = self._images(inputs)
        text = {name: value for name, value in inputs.items() if name in TEXT_INPUTS}
        probabilities, text_only, gates, reasons = [], [], [], []
        for start in range(0, len(text["input_ids"]), rows_per_pass):
            rows = slice(start, start + rows_per_pass)
            part = {name: value[rows] for name, value in text.items()}
            seen = {name: value if name == "vision_features" else value[rows] for name, value in images.items()}
            outputs = self.model(**part, **seen, output_hidden_states=evidence)
            probabilities.append(labels.probabilities(outputs.logits.float()))
            if outputs.matching_gate is not None:
                gates.append(outputs.matching_gate.float())
            if evidence:
                plain = {name: value for name, value in part.items() if not name.startswith("enhanced_")}
                text_only.append(labels.probabilities(self.model(**plain).logits.float()))
                reasons += self._reasons(part, outputs)
        return {
            "posts": batch["posts"],
            "probabilities": torch.cat(probabilities),
            "text_only": torch.cat(text_only) if text_only else None,
            "gates": torch.cat(gates) if gates and images else None,
            "image_mask": images.get("image_mask"),
            "size": inputs["pixel_values"].shape[-2:] if images else None,
            "reasons": reasons,
        }

    def _images(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What the model takes from the batch's distinct images, and which of them is where."""
        if "pixel_values" not in inputs or not self.model.config.uses_vision:
            return {}
        features = self.model.get_vision_features(inputs["pixel_values"])
        return {"vision_features": features} | {name: inputs[name] for name in ("image_index", "image_mask")}

    def _reasons(self, inputs: Mapping[str, torch.Tensor], outputs) -> list[dict[str, Any]]:
        """For each row what is beside its probabilities in the outputs, on the CPU."""
        markers = torch.stack([inputs["head_index"], inputs["tail_index"]], dim=1)  # (B, 2)
        rows = torch.arange(len(markers), device=markers.device).unsqueeze(1)
        f_1 = outputs.cross_modal_hidden_states[-1][rows, markers].flatten(1).float()  # (B, 2 d)
        f_3 = None
        if outputs.text_oriented_hidden_states is not None:
            f_3 = outputs.text_oriented_hidden_states[-1][rows, markers].flatten(1).float()
        similarity = None if outputs.similarity is None else outputs.similarity.float()
        return [
            {
                "ids": inputs["input_ids"][i][inputs["attention_mask"][i].bool()].tolist(),
                "directed": None if outputs.directed_logits is None else outputs.directed_logits[i].float(),
                "branches": None if f_3 is None or not self.model.config.use_result_fusion else (f_1[i], f_3[i]),
                "similarity": None if similarity is None else similarity[i],
            }
            for i in range(len(markers))
        ]

    def postprocess(
        self,
        batch: dict[str, Any],
        labels: RelationLabels,
        top_k: int | None,
        drop_none: bool,
        evidence: bool,
        strict: bool,
        **settings,
    ):
        """From the model's outputs to a result for each post."""
        for post in batch["posts"]:
            _refuse_nan(post, batch, strict)
        return [self._result(post, batch, labels, top_k, drop_none, evidence) for post in batch["posts"]]

    def _result(
        self,
        post: Post,
        batch: dict[str, Any],
        labels: RelationLabels,
        top_k: int | None,
        drop_none: bool,
        evidence: bool,
    ):
        result = {} if post.given.get("id") is None else {"id": post.given["id"]}
        if post.error is not None:
            return {**result, "error": str(post.error), "field": post.error.field}
        if post.added:
            result["added"] = post.added
        if post.truncated:
            result["truncated"] = post.truncated
        scores, places = self._scores(post, batch["probabilities"], labels)
        alone = [None] * len(places)
        if evidence:
            alone = self._scores(post, batch["text_only"], labels, places)[0].tolist()
        answers = [
            self._answer(post, batch, labels, place, row, text_only, top_k, drop_none)
            for place, row, text_only in zip(places, scores.tolist(), alone)
        ]
        if not post.listed:
            return {**result, **answers[0]}
        return {**result, "pairs": [one for one in answers if one["relation"] is not None or not drop_none]}

    def _scores(
        self, post: Post, probabilities: torch.Tensor, labels: RelationLabels, places: list[int] | None = None
    ) -> tuple[torch.Tensor, list[int]]:
        """
        Of the batch's `probabilities`, what counts for every answer to a post, `(answers, labels)`; and where its head
        and tail are among the post's pairs: with all pairs in the order that the best relation has, or as given.
        """
        scores = self._allowed(probabilities[post.rows].double(), post.pairs, labels)  # (rows, labels)
        if not post.all_pairs:
            return scores, list(range(len(post.pairs)))
        if labels.undeclared:
            raise ValueError(
                f"All pairs of a post need to know which label stands for no relation. {labels.undeclared}"
            )
        return labels.of_both_orders(scores[::2], scores[1::2], places)

    def _allowed(
        self, scores: torch.Tensor, pairs: list[tuple[Entity, Entity]], labels: RelationLabels
    ) -> torch.Tensor:
        """The probabilities given that the relation suits the types of the entities, where any does."""
        if all(entity.type is None for pair in pairs for entity in pair):
            return scores
        allowed = torch.tensor([allowed_relations(self.names, head.type, tail.type) for head, tail in pairs])
        allowed |= ~allowed.any(dim=1, keepdim=True)
        scores = scores.masked_fill(~allowed, 0)
        if labels.is_multi_label:
            return scores
        return scores / scores.sum(dim=1, keepdim=True).clamp(min=torch.finfo(scores.dtype).tiny)

    def _answer(
        self,
        post: Post,
        batch: dict[str, Any],
        labels: RelationLabels,
        place: int,
        scores: list[float],
        text_only: list[float] | None,
        top_k: int | None,
        drop_none: bool,
    ) -> dict[str, Any]:
        """For the pair at a place; with evidence if it is known what the text alone would have."""
        row = post.rows.start + place
        best = labels.best(scores, top_k, drop_none)
        relations = [{"relation": self.names[i], "score": scores[i]} for i in best]
        gate = self._gate(batch, row)
        answer = {
            **{name: _described(post.text, entity) for name, entity in zip(("head", "tail"), post.pairs[place])},
            **(relations[0] if relations else NO_RELATION),
            "relations": relations,
            "gate": None if gate is None else gate.mean().item(),
        }
        if text_only is None:
            return answer
        alone = labels.best(text_only, 1, drop_none=False)
        without = {"relation": self.names[alone[0]], "score": text_only[alone[0]]} if alone else dict(NO_RELATION)
        winner = max(range(len(scores)), key=scores.__getitem__)
        return {**answer, "evidence": {**self._evidence(batch, row, winner), "text_only": without}}

    def _gate(self, batch: dict[str, Any], row: int) -> torch.Tensor | None:
        """m of Eq. 10 where it has seen an image."""
        if batch["gates"] is None or not batch["image_mask"][row].any():
            return None
        return batch["gates"][row]

    def _evidence(self, batch: dict[str, Any], row: int, winner: int) -> dict[str, Any]:
        reason, gate = batch["reasons"][row], self._gate(batch, row)
        evidence = {
            "matching_gate": None if gate is None else gate_summary(gate),
            "similarity": None,
            "tokens": [],
            "regions": [],
            "branches": None,
        }
        if reason["branches"] is not None:
            weights = self._classifier(reason["directed"])
            weight = self.model.config.fusion_lambda
            evidence["branches"] = branch_shares(*reason["branches"], weight, weights, winner)
        if gate is not None:
            patch = self.model.config.vision_config.patch_size
            grid = tuple(side // patch for side in batch["size"])
            exists = batch["image_mask"][row].bool()
            maps = similarity_maps(reason["similarity"], exists, len(reason["ids"]), grid)
            means = maps.mean(dim=(1, 2))  # (images, tokens)
            regions = [name for name, there in zip(_regions(len(exists)), exists.tolist()) if there]
            shares = [means[:, start:end].sum(dim=1).tolist() for start, end in self._mentions(reason["ids"])]
            evidence["similarity"] = maps.numpy()
            evidence["tokens"] = [
                {"text": text, "similarity": mean} for text, mean in zip(self._texts(reason["ids"]), means[0].tolist())
            ]
            evidence["regions"] = [
                {"region": region, "head": head, "tail": tail} for region, head, tail in zip(regions, *shares)
            ]
        return evidence

    def _classifier(self, directed: torch.Tensor | None) -> torch.Tensor:
        """The weights of Eq. 15, `(relations, 2 d)`; for `None` of all that is `None` in the logits, by share."""
        weights = self.model.classifier.weight.detach().float().cpu()
        if directed is None:
            return weights
        none = [self.model.config.none_label, *range(len(self.names), len(weights))]
        folded = weights[: len(self.names)].clone()
        folded[none[0]] = directed.cpu()[none].softmax(dim=0) @ weights[none]
        return folded

    def _mentions(self, ids: list[int]) -> list[tuple[int, int]]:
        """Where the tokens of head and tail begin and end, without their markers."""
        markers = self.processor.tokenizer.convert_tokens_to_ids(ENTITY_MARKERS)
        head_start, head_end, tail_start, tail_end = map(ids.index, markers)
        return [(head_start + 1, head_end), (tail_start + 1, tail_end)]

    def _texts(self, ids: list[int]) -> list[str]:
        tokenizer = self.processor.tokenizer
        tokens = tokenizer.convert_ids_to_tokens(ids)
        return [tokenizer.convert_tokens_to_string([token]).strip() or token for token in tokens]

    def save_pretrained(self, save_directory, push_to_hub: bool = False, **kwargs: Any) -> None:
        r"""
        Saves the model in the dtype that it has, its processor, and the code of all three, for
        `trust_remote_code=True`. The options of this pipeline, its captioner and its grounder are not saved: pass them
        again when it is loaded.

        Args:
            save_directory (`str` or `os.PathLike`): A folder; made if it does not exist. A failure leaves it as it
                was.
            push_to_hub (`bool`, *optional*, defaults to `False`): Upload as well, in one commit, to `repo_id`, by
                default the folder's name.
            kwargs: For saving the model (`max_shard_size`, `variant`); with `push_to_hub` those of that method.

        Raises:
            NotADirectoryError: `save_directory` is a file.
        """
        of_push = {name: kwargs.pop(name) for name in OF_PUSH if name in kwargs}
        if of_push and not push_to_hub:
            raise TypeError(f"`{'`, `'.join(of_push)}` would have no effect: pass `push_to_hub=True` as well.")
        with whole_folder(save_directory) as folder:
            self.model.save_pretrained(folder, **kwargs)
            self.processor.save_pretrained(folder)
        if push_to_hub:
            options = {"max_shard_size": kwargs["max_shard_size"]} if "max_shard_size" in kwargs else {}
            self.push_to_hub(of_push.pop("repo_id", Path(save_directory).name), **of_push, **options)


def _check_numbers(options: Mapping[str, Any]) -> None:
    for name in ("batch_size", "rows_per_pass", "top_k"):
        value = options.get(name, 1)
        if name == "top_k" and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"`{name}` is {value!r}; expected 1 or more.")
    threshold = options.get("threshold")
    if threshold is not None and not (isinstance(threshold, Real) and 0 < threshold < 1):  # False and True are outside
        raise ValueError(f"`threshold` is {threshold!r}; expected a probability, a number between 0 and 1.")


def _shorter_limit(model, processor) -> int | None:
    """The most tokens of a text, where the processor lets through more than the model reads: the first long post would
    end a run."""
    limit, positions = processor.max_length or default_limit(processor.tokenizer), model.config.max_text_length
    if limit <= positions:
        return None
    logger.warning(
        f"The processor cuts texts at {limit} tokens, but the text encoder has positions for {positions}, so the "
        f"pipeline cuts them there. Set `processor.max_length = {positions}` for training as well."
    )
    return positions


def _refuse_nan(post: Post, batch: Mapping[str, Any], strict: bool) -> None:
    """NaN is neither larger nor smaller than anything, so that any relation could come out as the best."""
    if post.error is not None or not batch["probabilities"][post.rows].isnan().any():
        return
    post.error = InvalidPost(
        f"{post.where}: the model's scores are NaN. Its weights are, or half precision has overflowed: load it in "
        "float32 or bfloat16 (`dtype`)."
    )
    if strict:
        raise post.error


def _batches(posts: Iterable, settings: Mapping[str, Any]) -> Iterator[list[tuple[int, Any]]]:
    numbered = iter(enumerate(posts))
    while batch := list(islice(numbered, settings["batch_size"])):
        yield batch


def _described(text: str, entity: Entity) -> dict[str, Any]:
    start, end = entity.span
    described = {"text": text[start:end], "start": start, "end": end}
    return described if entity.type is None else {**described, "type": entity.type}


def _regions(slots: int) -> list[str]:
    return ["image", *(f"object {i}" for i in range(slots - 1))]
