"""How a model fares that scores all pairs of a post: does it take the order of two entities for a relation?

    python examples/measure_pairs.py runs/mnre path/to/mnre

For every row of the validation split the two entities are scored as listed, swapped, and as a pair without given order
(`entities`), trusting both orders (`pairs="independent"`) and with the correction for MNRE (`pairs="mnre"`, the
default). Printed are the share of the rows without relation that are given one, and precision, recall and F1 of
relations, which count as found only in the right direction. `examples/results/pipeline.md` has what came out.
"""

import argparse
from collections.abc import Iterable

from transformers import pipeline

import tgdi_hf
from tgdi_hf.processing.entity_pairs import NEGATIVE

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("checkpoint")
parser.add_argument("data")
parser.add_argument("--split", default="validation")
parser.add_argument("--dtype", default="bfloat16")


def answers(results: Iterable[dict]) -> list[tuple[str, tuple[int, int]]]:
    """The relation of each result, and where its head begins and ends."""
    found = [result["pairs"][0] if "pairs" in result else result for result in results]
    return [(one["relation"], (one["head"]["start"], one["head"]["end"])) for one in found]


def report(name: str, given: list, expected: list) -> None:
    none = [answer[0] != NEGATIVE for answer, (relation, _) in zip(given, expected) if relation == NEGATIVE]
    right = sum(answer == truth for answer, truth in zip(given, expected) if truth[0] != NEGATIVE)
    precision = right / max(sum(relation != NEGATIVE for relation, _ in given), 1)
    recall = right / sum(relation != NEGATIVE for relation, _ in expected)
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    scores = " ".join(f"{100 * value:5.1f}" for value in (precision, recall, f1))
    print(f"{name:<28} {100 * sum(none) / len(none):5.1f} % of the rows without relation get one; P R F1 {scores}")


def main() -> None:
    args = parser.parse_args()
    pipe = pipeline("multimodal-relation-extraction", model=args.checkpoint, dtype=args.dtype, batch_size=64)
    data = tgdi_hf.undecoded(tgdi_hf.load_mnre(args.data)[args.split])
    names = data.features["label"].names
    rows = [{**row, "label": None} for row in data]
    # One entity inside of the other is a pair, the same entity twice is none.
    keep = [i for i, row in enumerate(rows) if list(row["head"]) != list(row["tail"])]
    labels, rows = [names[data[i]["label"]] for i in keep], [rows[i] for i in keep]
    apart = [{**row, "head": None, "tail": None, "entities": [row["head"], row["tail"]]} for row in rows]
    swapped = [{**row, "head": row["tail"], "tail": row["head"]} for row in rows]

    listed = pipe(rows)
    heads = [(one["head"]["start"], one["head"]["end"]) for one in listed]
    expected = list(zip(labels, heads))
    report("as listed", answers(listed), expected)
    report("swapped", answers(pipe(swapped)), expected)
    for rule in ("independent", "mnre"):
        report(f"without order, {rule}", answers(pipe(apart, pairs=rule)), expected)


if __name__ == "__main__":
    main()
