import pytest

from tgdi_hf import RELATIONS, load_mnre
from tgdi_hf.data.mnre_files import CorpusError
from tgdi_hf.data.mnre_layout import LAYOUTS, find_layout, has_text_folder, image_folder, text_file

from .mnre_folder import MNRE_1_POSTS, POSTS, post, write_image, write_lines, write_mnre_1


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.pattern)
@pytest.mark.parametrize(("split", "name"), [("train", "train"), ("validation", "val"), ("test", "test")])
def test_the_layout_follows_from_any_split(tmp_path, layout, split, name):
    assert not has_text_folder(tmp_path)
    file = write_lines(tmp_path / layout.pattern.format(name), POSTS)
    assert has_text_folder(tmp_path)
    assert find_layout(tmp_path) == layout
    assert text_file(tmp_path, layout, split) == file


def test_only_the_layouts_of_mnre_2_imply_its_relations():
    assert [layout.relations for layout in LAYOUTS] == [RELATIONS, RELATIONS, None, None]


def test_mnre_2_is_read_as_its_repository_spells_its_files(tmp_path):
    write_lines(tmp_path / "mnre_txt/mnre_train.txt", POSTS)
    file = write_lines(tmp_path / "mnre_txt/mnre_val .txt", POSTS)
    corpus = load_mnre(tmp_path)
    assert {split: rows["label"][:] for split, rows in corpus.items()} == {
        "train": [9, 7, 0, 14],
        "validation": [9, 7, 0, 14],
    }
    layout = find_layout(tmp_path)
    write_lines(tmp_path / "mnre_txt/mnre_val.txt", POSTS)
    assert text_file(tmp_path, layout, "validation") != file


def test_your_own_posts_may_have_the_plain_names_of_splits(tmp_path):
    write_lines(tmp_path / "txt/train.txt", [post(relation="works_for"), post(relation="None")])
    assert load_mnre(tmp_path)["train"].features["label"].names == ["None", "works_for"]


def test_two_corpora_in_one_folder_are_refused(tmp_path):
    write_mnre_1(tmp_path)
    write_lines(tmp_path / "txt/ours_val.txt", POSTS)
    with pytest.raises(
        CorpusError, match=r"the posts of 2 corpora, txt/ours_val\.txt and mnre_txt/mnre_org_train\.txt; expected one"
    ):
        load_mnre(tmp_path)


def test_two_files_of_relations_are_refused(tmp_path):
    write_mnre_1(tmp_path)
    for name in ("rel2id.json", "mnre_txt/mnre_rel2id.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(CorpusError, match=r"in 2 files, rel2id\.json, mnre_txt/mnre_rel2id\.json; expected one"):
        load_mnre(tmp_path)


@pytest.mark.parametrize("images", ["img_org/{}", "mnre_image/img_org/{}", "mnre_image/{}", "img_org", "mnre_image"])
def test_images_may_be_in_a_folder_per_split_or_in_one(tmp_path, images):
    write_mnre_1(tmp_path, images=images)
    for split, name in (("train", "train"), ("validation", "val")):
        assert image_folder(tmp_path, split) == tmp_path / images.format(name)
    assert load_mnre(tmp_path)["validation"][3]["image"].size == (8, 6)


def test_the_images_of_a_split_are_not_those_of_another(tmp_path):
    write_mnre_1(tmp_path, posts=MNRE_1_POSTS)
    write_image(tmp_path / "img_org/val/missing.jpg")
    corpus = load_mnre(tmp_path)
    assert corpus["train"][4]["image"] is None
    assert corpus["validation"][4]["image"] is not None
