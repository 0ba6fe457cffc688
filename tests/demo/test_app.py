import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tgdi_hf.demo import corpus

if importlib.util.find_spec("gradio") is None:
    pytest.skip("gradio is not installed: pip install 'tgdi_hf[demo]'", allow_module_level=True)

# Deprecations of the dependencies of gradio are not ours.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def app():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tgdi_hf.demo import app
    return app


@pytest.fixture
def image(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return str(tmp_path / "a.png")


def test_two_entities(app, pipe, image):
    message, answer, influence, choice, heat, pairs, seen = app.show(pipe, "Ann meets Bob", "Ann", "Bob", image, "two")
    result = pipe({"text": "Ann meets Bob", "head": "Ann", "tail": "Bob", "image": image, "caption": "two"})
    assert message == pairs == ""
    assert f"<b>{result['relation']}</b>" in answer and f'value="{result["score"]:.4f}"' in answer
    assert f'value="{result["gate"]:.4f}" aria-label="matching gate"' in influence
    assert choice.value == "whole text" and [*seen][:3] == ["whole text", "head: Ann", "tail: Bob"]
    assert heat.visible and heat.value.count("<img") == 2 and "cosine of image patches and text" in heat.value
    assert 'alt="image, heat map of whole text: cosine from ' in heat.value
    # Every token of the text has a map, drawn when it is chosen; markers have none.
    token = [*seen][4]
    assert not any("<" in name or "[" in name for name in seen)
    assert f"image, {token}</figcaption>" in app.draw_heat_maps(token, seen).value
    assert app.draw_heat_maps("nothing", seen).visible is app.draw_heat_maps(None, None).visible is False


def test_the_objects_that_a_grounder_finds_have_maps(app, pipe_with_objects, image):
    pipe_with_objects.reader.grounder = lambda images, queries: [[{"box": (0, 0, 32, 32)}]]
    *_, heat, _, seen = app.show(pipe_with_objects, "Ann meets Bob", "Ann", "Bob", image, None)
    assert heat.value.count("<img") == 4 and "outlined: object 0" in heat.value
    assert [one.name for one, _ in seen["tail: Bob"]] == ["image", "object 0"]


def test_without_an_image(app, pipe):
    _, _, influence, choice, heat, _, seen = app.show(pipe, "Ann meets Bob", "Ann", "[10, 13]", None, "")
    assert "The post has no image, so there are no heat maps." in influence
    assert not choice.visible and not heat.visible and seen == {}


def test_the_page_reports_unused_images_and_truncation(app, pipe, image):
    """A model without gate uses images without heat maps."""
    pipe.model.config.use_matching_gate = False
    pipe.model.tgdi.matching_gate = None
    for given, said in ((image, "The model has no matching gate"), (None, "The post has no image")):
        influence = app.show(pipe, "Ann meets Bob", "Ann", "Bob", given, None)[2]
        assert said in influence
    cut = app.show(pipe, "Ann meets Bob" + " again" * 400, "Ann", "Bob", None, None)[2]
    assert "exceeds the model's maximum length" in cut and "exceeds the model's maximum length" not in influence


def test_all_pairs(app, pipe):
    *_, pairs, _ = app.show_pairs(pipe, "Ann meets Bob in <b>Rome", "Ann\n\n Bob \n<b>Rome", None, "")
    assert pairs.count("<meter") == 3
    assert "&lt;b&gt;Rome" in pairs  # user input is escaped


@pytest.mark.parametrize(
    ("values", "field", "text"),
    [
        (("", "Ann", "Bob", None, None), "text", "no text"),
        (("Ann meets Bob", " ", "Bob", None, None), "head", "enter the head entity"),
        (("Ann meets Bob", "Ann", None, None, None), "tail", "enter the tail entity"),
        (("Ann meets Bob" * 1000, "Ann", "Bob", None, None), "text", "13,000 characters; expected at most 10,000"),
        (("Ann meets Bob", "Ann", "<i>Eve</i>", None, None), "tail", "&lt;i&gt;Eve"),
        (
            ("Ann and Ann and Bob", "Ann", "Bob", None, None),
            "head",
            "one of the spans [0, 3), [8, 11)",
        ),
        (("Ann meets Bob", "Ann", "Bob", __file__, None), "image", "not in an image format"),
    ],
)
def test_errors_are_shown_on_the_page(app, pipe, values, field, text):
    message, answer, *_ = app.show(pipe, *values)
    assert message.startswith(f"<div role=alert><b>{field}</b>: ") and text in message
    assert "post 0" not in message and __file__ not in message and answer == ""
    for entities, said in (("Ann", "has 1 different"), ("Ann\n" * 17, "17 entities; expected at most 16")):
        message, *_ = app.show_pairs(pipe, "Ann meets Bob", entities, None, None)
        assert "<b>entities</b>" in message and said in message


def test_only_uploads_are_opened(app, image, tmp_path):
    import gradio
    from gradio.data_classes import ImageData

    (tmp_path / "uploads").mkdir()
    inside = tmp_path / "uploads" / "a.png"
    inside.write_bytes(Path(image).read_bytes())
    (tmp_path / "uploads" / "link.png").symlink_to(image)
    folder = str(tmp_path / "uploads")
    assert app._check_upload(ImageData(path=str(inside)), folder) == str(inside)
    assert app._check_upload(None, folder) is None
    for path in (
        image,
        "/etc/passwd",
        f"{folder}/../a.png",
        f"{folder}/link.png",
        folder,
        f"{folder}/gone.png",
        None,
    ):
        with pytest.raises(gradio.Error, match="image: expected an image that was uploaded"):
            app._check_upload(ImageData(path=path, url="data:image/png;base64,AAAA"), folder)


def test_examples_of_every_kind(app, pipe, tmp_path):
    posts = app.example_posts(pipe, str(tmp_path))
    assert [post["image"] is None for post in posts] == [False] * 4 + [True]
    for post in posts:
        assert app.show(pipe, *(post[name] for name in ("text", "head", "tail", "image", "caption")))[0] == ""
    page = app.build_app(pipe, "A <model>", posts)
    assert page.title == "A <model>"


def test_examples_are_the_first_of_their_kinds_in_the_test_split(app, pipe, tmp_path, monkeypatch):
    drawn = []
    draw_scene = corpus.draw_scene
    monkeypatch.setattr(corpus, "draw_scene", lambda *arguments: drawn.append(0) or draw_scene(*arguments))
    posts = app.example_posts(pipe, str(tmp_path))
    assert len(drawn) < 50
    rows = corpus.make_corpus({"test": 900})["test"].remove_columns("image").to_list()
    needed = [row["text"] for row in rows if row["scene"] and row["needs_image"]][:12]
    assert len({post["text"] for post in posts[:3]} & {*needed}) == 3
    assert posts[3]["text"] == next(row["text"] for row in rows if row["scene"] and not row["needs_image"])
    assert posts[4]["text"] == next(row["text"] for row in rows if not row["scene"])


def test_the_metadata_of_the_space():
    import yaml

    folder = Path(__file__).parents[2] / "examples" / "space"
    about = yaml.safe_load((folder / "README.md").read_text().split("---")[1])
    assert about["sdk"] == "gradio" and (folder / about["app_file"]).is_file()
