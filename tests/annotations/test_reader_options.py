import pytest

from tgdi_hf.annotations.document import Unusable
from tgdi_hf.annotations.reader_options import ReaderOptions, find_image, find_text

DATA = {"tweet": "Ann meets Bob", "picture_of_it": "https://x.org/1.jpg", "id": 3}


def test_keys_are_found_or_chosen():
    assert find_text(DATA, ReaderOptions()) == "Ann meets Bob"
    assert find_text({**DATA, "text": "Hello"}, ReaderOptions()) == "Hello"
    assert find_text({**DATA, "text": "Hello"}, ReaderOptions(text_key="tweet")) == "Ann meets Bob"
    assert find_image(DATA, ReaderOptions()) == "https://x.org/1.jpg"
    assert find_image({**DATA, "image": "2.jpg"}, ReaderOptions()) == "2.jpg"
    assert find_image({**DATA, "image": "2.jpg"}, ReaderOptions(image_key="picture_of_it")) == "https://x.org/1.jpg"
    assert find_image({"text": "Hello"}, ReaderOptions()) is None
    assert find_image({"text": "a", "image": "2.jpg"}, ReaderOptions(image_key="other")) is None


@pytest.mark.parametrize(
    ("find", "data", "options", "message"),
    [
        (find_text, {"a": "x", "b": "y"}, {}, "expected a key `text`, found a, b. Pass the key"),
        (find_text, {}, {}, "found nothing"),
        (find_text, DATA, {"text_key": "post"}, "no key 'post', found tweet, picture_of_it, id"),
        (find_text, {"text": 3}, {}, "`text` is 3; expected a text"),
        (find_image, {"image": ["1.jpg"]}, {}, "expected the path or URL of one image"),
        (find_image, {"a": "1.jpg", "b": "2.jpg"}, {}, "several images, a, b"),
    ],
)
def test_unclear_keys(find, data, options, message):
    with pytest.raises(Unusable, match=message):
        find(data, ReaderOptions(**options))
