import base64
import io

from PIL import Image

from tgdi_hf.inference.explanation import Panel
from tgdi_hf.inference.explanation_html import COLOUR_BAR, STYLE, data_url, panels_html


def test_images_have_titles_and_descriptions():
    panel = Panel("image, head: <b>", Image.new("RGB", (20, 10), "red"), 'heat map of "<b>"')
    page = panels_html([panel, panel])
    assert page.count("<figure") == 2 and page.count('alt="heat map of &quot;&lt;b&gt;&quot;"') == 2
    assert "<figcaption>image, head: &lt;b&gt;</figcaption>" in page and 'style="width: 20px"' in page
    assert panels_html([]) == ""


def test_images_are_part_of_the_page():
    url = data_url(Image.new("RGB", (20, 10), "red"))
    assert url.startswith("data:image/jpeg;base64,")
    image = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    assert image.size == (20, 10) and image.getpixel((5, 5))[0] > 250


def test_the_colour_bar_names_its_scale():
    assert "-1 <i></i> 1" in COLOUR_BAR and "cosine" in COLOUR_BAR
    assert "linear-gradient(90deg, rgb(76, 114, 152), rgb(160, 160, 160), rgb(184, 104, 65))" in STYLE
