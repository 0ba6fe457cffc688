from datasets import Dataset

from tgdi_hf.data.mention_occurrences import with_all_occurrences


def test_a_row_is_repeated_for_every_pair_of_occurrences():
    rows = Dataset.from_list(
        [
            {"text": "Ann meets Bob", "head": "Ann", "tail": "Bob"},
            {"text": "Ann meets Bob and Ann", "head": "Ann", "tail": "Bob"},
            {"text": "Ann meets Bob", "head": "Ann", "tail": "Eve"},  # not in the text: kept once
        ]
    )
    repeated, origins = with_all_occurrences(rows)
    assert repeated["text"][:] == [rows[i]["text"] for i in (0, 1, 1, 2)]
    assert origins.tolist() == [[0, 0], [1, 0], [1, 1], [2, 0]]


def test_rows_without_ambiguous_mentions_are_returned_as_they_are():
    rows = Dataset.from_list([{"text": "Ann meets Bob", "head": "Ann", "tail": "Bob"}])
    assert with_all_occurrences(rows)[0] is rows
