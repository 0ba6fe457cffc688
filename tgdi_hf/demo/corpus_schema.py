"""Splits, labels and columns of the embedded corpus."""

from datasets import ClassLabel, Features, Image, List, Value

LABELS = (
    "None",
    "/per/per/couple",
    "/per/per/peer",
    "/per/org/member_of",
    "/per/loc/place_of_residence",
    "/per/loc/place_of_birth",
    "/loc/loc/contain",
    "/per/misc/present_in",
    "/per/misc/awarded",
)
SPLITS = ("train", "validation", "test")
DEFAULT_ROWS = {"train": 4500, "validation": 450, "test": 900}

FEATURES = Features(
    {
        "id": Value("string"),
        "text": Value("string"),
        "head": List(Value("int32"), length=2),
        "tail": List(Value("int32"), length=2),
        "image": Image(),
        "objects": List(List(Value("int32"), length=4)),
        "caption": Value("string"),
        "relevance": Value("float32"),
        "label": ClassLabel(names=list(LABELS)),
        "needs_image": Value("bool"),
        "template": Value("string"),
        "scene": Value("string"),
    }
)


def relation_types(label: str) -> str:
    """The entity types of a relation: `"/per/per/couple"` gives `"per/per"`."""
    return label[1:].rpartition("/")[0]


def labels_of(types: str) -> list[str]:
    """The labels of an entity pair of these types in the corpus, `None` last."""
    return [label for label in LABELS[1:] if relation_types(label) == types] + ["None"]
