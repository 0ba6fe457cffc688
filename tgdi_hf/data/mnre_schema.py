"""The relations and splits of MNRE, and the columns of the dataset that it is loaded into."""

from collections.abc import Sequence

from datasets import ClassLabel, Features, Image, List, Value

from ..modeling.negative_label import NEGATIVE

RELATIONS = (
    NEGATIVE,
    "/per/per/parent",
    "/per/per/siblings",
    "/per/per/couple",
    "/per/per/neighbor",
    "/per/per/peer",
    "/per/per/charges",
    "/per/per/alumi",
    "/per/per/alternate_names",
    "/per/org/member_of",
    "/per/loc/place_of_residence",
    "/per/loc/place_of_birth",
    "/org/org/alternate_names",
    "/org/org/subsidiary",
    "/org/loc/locate_at",
    "/loc/loc/contain",
    "/per/misc/present_in",
    "/per/misc/awarded",
    "/per/misc/race",
    "/per/misc/religion",
    "/per/misc/nationality",
    "/misc/misc/part_of",
    "/misc/loc/held_on",
)


def features_of(relations: Sequence[str]) -> Features:
    """The columns of a corpus with these relations, in the order of their ids."""
    return Features(
        {
            "id": Value("string"),
            "words": List(Value("string")),
            "head": List(Value("int32"), length=2),
            "tail": List(Value("int32"), length=2),
            "image": Image(),
            "image_id": Value("string"),
            "objects": List(Image()),
            "caption": Value("string"),
            "relevance": Value("float32"),
            "label": ClassLabel(names=list(relations)),
        }
    )


FEATURES = features_of(RELATIONS)

# The name of each split in the names of its files: of text and images, and of the lists of published crops.
SPLITS = {"train": ("train", "train"), "validation": ("val", "dev"), "test": ("test", "test")}
