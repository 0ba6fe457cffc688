"""Leaks: what about a row, other than its text and its pixels, gives its label away?"""

import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from PIL import Image, UnidentifiedImageError

from ..data.dataset_columns import texts_of, undecoded
from ..data.image_identity import digest_of
from ..data.labels import label_names
from ..modeling.negative_label import AUTO, find_negative
from ..processing.entity_mentions import text_and_spans
from .bootstrap import interval, resampled_sums, sample_weights, summed_by

FOLDS = 5
# A feature is named in the summary where it alone is better than always giving the commonest answer by more than this,
# or tells a relation from none with an area under the ROC curve above that, beyond doubt.
NOTEWORTHY = 0.01
NOTEWORTHY_AREA = 0.55
AREA_ROUNDS = 200


def features_of(dataset: Dataset, extra: Mapping[str, Sequence[float]] | None = None) -> dict[str, np.ndarray]:
    r"""
    All that can be known of rows without reading a word or looking at an image, as numbers; what is missing is -1.

    - of the entities: whether the head comes first (where they stand and how long they are is a shadow of the words);
    - of the text and the caption: length in characters and words;
    - of the image: whether there is one; width, height, format and size of its file; how many rows have the same; the
      length of its name, the digits in it, and its pattern: the name without its numbers, the commonest one first;
    - of the objects: how many; the least and greatest area of boxes and crops; the size of the crops' files;
    - the row's place in the dataset.

    Args:
        dataset: Rows with text or words, head and tail.
        extra: More of them, one value a row.

    Returns:
        From names to arrays of `(rows,)`.

    Raises:
        ValueError: A file is no image; the message names the row.
    """
    dataset = undecoded(dataset)
    images: dict[str, dict[str, float]] = {}
    rows, names, identities = [], [], []
    for place, row in enumerate(dataset):
        text, (head, tail), _ = text_and_spans(row, f"row {place}")
        caption, name, where = row.get("caption"), _name_of(row), f"row {place}"
        found = {
            "head comes first": head <= tail,
            "characters of the text": len(text),
            "words of the text": len(text.split()),
            "characters of the caption": -1 if caption is None else len(caption),
            "words of the caption": -1 if caption is None else len(caption.split()),
            "place of the row": place,
            **_of_objects(row.get("objects"), images, where),
            **_of_image(row.get("image"), images, where),
            **_of_name(name),
        }
        rows.append(found)
        names.append(re.sub(r"\d+", "#", name))
        identities.append(next(iter(_identities(row)), None))
    columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    often = Counter(identities)
    columns["rows with the same image"] = np.array([often[one] if one else -1 for one in identities], dtype=float)
    patterns = {pattern: float(place) for place, (pattern, _) in enumerate(Counter(names).most_common())}
    columns["pattern of the image's name"] = np.array([patterns[name] if name else -1 for name in names])
    return columns | {name: np.asarray(values, dtype=float) for name, values in (extra or {}).items()}


def _of_objects(objects: Sequence[Any] | None, known: dict[str, dict[str, float]], where: str) -> dict[str, float]:
    areas, size = [], 0.0
    for part in objects or ():
        if isinstance(part, Mapping):
            crop = _of_image(part, known, f"{where}, an object")
            areas.append(crop["width"] * crop["height"])
            size += crop["bytes of the file"]
        else:
            x0, y0, x1, y1 = part
            areas.append((x1 - x0) * (y1 - y0))
    return {
        "number of objects": -1 if objects is None else len(objects),
        "least area of an object": min(areas, default=-1),
        "greatest area of an object": max(areas, default=-1),
        "bytes of the objects' files": size,
    }


def _of_image(image: Mapping[str, Any] | None, known: dict[str, dict[str, float]], where: str) -> dict[str, float]:
    """Of the file, whose pixels are not decoded."""
    names = ("there is an image", "width", "height", "format", "bytes of the file")
    if image is None:
        return dict.fromkeys(names, -1.0)
    key = _content_key(image)
    if key not in known:
        content, path = image.get("bytes"), image.get("path")
        size = Path(path).stat().st_size if content is None else len(content)
        try:
            with Image.open(path if content is None else io.BytesIO(content)) as opened:  # reads its header
                kind = sum(map(ord, opened.format or ""))
                known[key] = dict(zip(names, (1.0, *opened.size, kind, size)))
        except UnidentifiedImageError:
            name = path or "given as bytes"
            raise ValueError(f"{where}: {name} is no image. Take the row out, or the image from it.") from None
    return known[key]


def _content_key(image: Mapping[str, Any]) -> str:
    """The same for the same file: what it is called where that is all there is, else what is in it."""
    return str(image["path"]) if image.get("bytes") is None else digest_of(image["bytes"])


def _identities(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """By what an image is recognised in another row: its content, if there is a file, and its `image_id`."""
    image, found = row.get("image"), []
    if isinstance(image, Mapping):
        found.append(("content", digest_of(image["path"] if image.get("bytes") is None else image["bytes"])))
    return found + ([("name", str(row["image_id"]))] if row.get("image_id") else [])


def _name_of(row: Mapping[str, Any]) -> str:
    """What the image is called, if it is called anything."""
    image = row.get("image")
    path = image.get("path") if isinstance(image, Mapping) else None
    return str(row.get("image_id") or (Path(path).name if path else ""))


def _of_name(name: str) -> dict[str, float]:
    digits = re.findall(r"\d+", name)
    return {
        "length of the image's name": len(name) if name else -1,
        "first number in the image's name": float(digits[0][:15]) if digits else -1,
        "digits in the image's name": sum(map(len, digits)) if name else -1,
    }


def audit(
    dataset: Mapping[str, Dataset],
    split: str = "train",
    extra: Mapping[str, Sequence[float]] | None = None,
    seed: int = 0,
    negative: str | None = AUTO,
) -> dict[str, Any]:
    r"""
    Looks for leaks: has a cheap classifier (a random forest) guess the labels of a split from `features_of` alone, by
    cross-validation, posts with the same text always on one side; and a small tree from each feature by itself.

    Args:
        dataset: The splits.
        split: The one to guess.
        extra: More features of its rows.
        seed: Of folds, forests and the bootstrap.
        negative: The label that stands for no relation, called None below; see `find_negative`.

    Returns:
        - `rows`; `targets`: for `"relation or None"` and `"which relation"` the accuracy of always giving the commonest
          answer (`majority`), that of the forest, and the `gain`; for the first, also the `area` under the ROC curve,
          which sees hints that change no answer; and the same of each feature in `features`, the best first. Gain and
          area have 95 % intervals by bootstrap over posts;
        - `noteworthy`: the features whose gain for one of the targets is more than a point, or whose area is above
          0.55, beyond doubt;
        - `shared`: how many rows of each other split have a text, an image (by its file's content or its `image_id`),
          or a pair of entities (in lower case, in either order) that the split has.

    Raises:
        ValueError: The split has fewer posts than folds, a file is no image, or see `find_negative`.
        ImportError: `pip install 'tgdi_hf[audit]'`.
    """
    try:
        import sklearn  # noqa: F401 - listed here with the extra that installs it
    except ImportError:
        raise ImportError("The audit needs scikit-learn: pip install 'tgdi_hf[audit]'") from None
    rows = dataset[split]
    names, several = label_names(rows)
    if several:
        raise ValueError("The audit guesses one label per row; these rows have lists of labels.")
    negative = find_negative(names, negative)
    labels, features = np.array(rows["label"][:]), features_of(rows, extra)
    groups = np.unique(_texts(rows), return_inverse=True)[1]
    if groups.max() + 1 < FOLDS:
        raise ValueError(f"The split {split!r} has {groups.max() + 1} posts; cross-validation needs {FOLDS} or more.")
    targets = {"which relation": labels}
    if negative is not None:
        targets = {f"relation or {negative}": (labels != names.index(negative)).astype(int), **targets}
    found = {target: _guess(features, values, groups, seed) for target, values in targets.items()}
    return {
        "split": split,
        "rows": len(labels),
        "targets": found,
        "noteworthy": list(
            dict.fromkeys(
                one["feature"]
                for target in found.values()
                for one in target["features"]
                if one["gain"]["low"] > NOTEWORTHY or one.get("area", {"low": 0})["low"] > NOTEWORTHY_AREA
            )
        ),
        "shared": {other: _shared(rows, dataset[other]) for other in dataset if other != split},
    }


def _guess(features: Mapping[str, np.ndarray], target: np.ndarray, groups: np.ndarray, seed: int) -> dict[str, Any]:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.tree import DecisionTreeClassifier

    target = np.unique(target, return_inverse=True)[1]  # of the relations that there are
    table = np.stack([*features.values()], axis=1)
    folds = list(_folds(target, groups, seed))
    commonest = np.zeros(len(target), dtype=int)
    for train, test in folds:
        commonest[test] = np.bincount(target[train]).argmax()
    forest = RandomForestClassifier(200, min_samples_leaf=5, random_state=seed, n_jobs=-1)
    tree = DecisionTreeClassifier(max_leaf_nodes=8, min_samples_leaf=10, random_state=seed)

    def scores(model: Any, columns: np.ndarray) -> dict[str, Any]:
        odds = _cross_validated(model, columns, target, folds)
        found = _gain(odds.argmax(axis=1) == target, commonest == target, groups, seed)
        return found | ({"area": _area(odds[:, 1], target, groups, seed)} if len(np.unique(target)) == 2 else {})

    alone = [{"feature": name, **scores(tree, table[:, [i]])} for i, name in enumerate(features)]
    return {
        "majority": float((commonest == target).mean()),
        **scores(forest, table),
        "features": sorted(alone, key=lambda one: (-one["accuracy"], -one.get("area", {"value": 0})["value"])),
    }


def _folds(target: np.ndarray, groups: np.ndarray, seed: int):
    from sklearn.model_selection import GroupKFold

    return GroupKFold(FOLDS, shuffle=True, random_state=seed).split(target, groups=groups)


def _cross_validated(model: Any, table: np.ndarray, target: np.ndarray, folds: list) -> np.ndarray:
    """What a model that has not seen a row says of it: `(rows, classes)`."""
    odds = np.zeros((len(target), target.max() + 1))
    for train, test in folds:
        model.fit(table[train], target[train])
        odds[np.ix_(test, model.classes_)] = model.predict_proba(table[test])
    return odds


def _gain(right: np.ndarray, commonest: np.ndarray, groups: np.ndarray, seed: int) -> dict[str, Any]:
    difference = right.astype(int) - commonest
    sums = resampled_sums(summed_by(np.stack([difference, np.ones_like(difference)], axis=1), groups), seed=seed)
    low, high = interval(sums[:, 0] / sums[:, 1])
    return {"accuracy": float(right.mean()), "gain": {"value": float(difference.mean()), "low": low, "high": high}}


def _area(scores: np.ndarray, target: np.ndarray, groups: np.ndarray, seed: int) -> dict[str, float]:
    """Under the ROC curve: the chance that a row with a relation gets a higher score than one without."""
    places = np.unique(scores, return_inverse=True)[1]

    def area(weights: np.ndarray) -> float:
        real, none = (np.bincount(places, weights * (target == kind)) for kind in (1, 0))
        below = np.cumsum(none) - none / 2  # a tie is half a win
        return float(real @ below / (real.sum() * none.sum() or np.nan))

    parts = sample_weights(groups.max() + 1, AREA_ROUNDS, seed)
    samples = np.array([area(row[groups]) for part in parts for row in part])
    low, high = interval(samples[~np.isnan(samples)])  # a sample of one kind has no area
    return {"value": area(np.ones(len(target))), "low": low, "high": high}


def _shared(one: Dataset, two: Dataset) -> dict[str, int]:
    kinds = {"texts": _texts, "pairs": _pairs}
    found = {"rows": len(two)}
    for kind, values in kinds.items():
        known = set(values(one))
        found[kind] = sum(value in known for value in values(two))
    images = {identity for row in _images(one) for identity in row}
    return found | {"images": sum(not images.isdisjoint(row) for row in _images(two))}


def _texts(dataset: Dataset) -> list[str]:
    return [" ".join(text.lower().split()) for text in texts_of(dataset)]


def _images(dataset: Dataset) -> list[list[tuple[str, str]]]:
    return [_identities(row) for row in undecoded(dataset)]


def _pairs(dataset: Dataset) -> list[tuple[str, ...]]:
    pairs = []
    for row in undecoded(dataset):
        text, spans, _ = text_and_spans(row, "row")
        pairs.append(tuple(sorted(text[start:end].lower() for start, end in spans)))
    return pairs


def as_markdown(found: Mapping[str, Any], most: int = 8) -> str:
    """What an audit found, as tables in percent."""
    lines = [f"{found['rows']:,} rows of {found['split']}; guessed without a word of text or a pixel, in percent.", ""]
    for target, of in found["targets"].items():
        area = "area" in of
        header = ["guessed from", "accuracy", "gain over the commonest answer"] + ["area under ROC"] * area
        lines += [f"**{target}**", "", f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
        lines.append(f"| the commonest answer | {100 * of['majority']:.1f} |" + " |" * (len(header) - 2))
        for one in ({"feature": "**all of it**", **of}, *of["features"][:most]):
            cells = [one["feature"], f"{100 * one['accuracy']:.1f}", _spread(one["gain"], "+.1f")]
            lines.append(f"| {' | '.join(cells + ([_spread(one['area'], '.1f')] if area else []))} |")
        lines.append("")
    if found["shared"]:
        lines += [
            "| rows with what the split has, too | texts | images | pairs of entities | of |",
            "|---|---|---|---|---|",
        ]
        for split, of in found["shared"].items():
            lines.append(f"| {split} | {of['texts']:,} | {of['images']:,} | {of['pairs']:,} | {of['rows']:,} |")
        lines.append("")
    noteworthy = ", ".join(found["noteworthy"]) or "none"
    lines.append(
        f"Features that by themselves gain more than a point, or have an area under the ROC curve above "
        f"{100 * NOTEWORTHY_AREA:.0f}, beyond doubt: {noteworthy}."
    )
    return "\n".join(lines) + "\n"


def _spread(of: Mapping[str, float], form: str) -> str:
    value, low, high = (f"{100 * of[name]:{form}}" for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"
