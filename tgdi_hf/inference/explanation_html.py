"""Parts of HTML pages that show explanations: images with descriptions, and the colour bar of heat maps."""

import base64
import html
import io
from collections.abc import Iterable

from PIL import Image

from .explanation import Panel
from .heat_map import BAR_COLOURS, SCALE_LABEL

_GRADIENT = ", ".join(f"rgb{colour}" for colour in BAR_COLOURS)
STYLE = f"""
.panels {{ display: flex; flex-wrap: wrap; gap: .5em }} .panels figure {{ margin: 0; max-width: 100% }}
.panels img {{ max-width: 100%; vertical-align: bottom }}
.panels figcaption {{ font-size: .8em; overflow-wrap: anywhere }}
.cosine {{ display: flex; flex-wrap: wrap; align-items: center; gap: .5em 1em; font-size: .8em }}
.cosine span {{ white-space: nowrap }}
.cosine i {{ display: inline-block; width: 10em; height: 1em; vertical-align: middle }}
.cosine i {{ background: linear-gradient(90deg, {_GRADIENT}) }}
"""
COLOUR_BAR = f"<div class=cosine><span>-1 <i></i> 1</span> {SCALE_LABEL}; grey at 0</div>"


def panels_html(panels: Iterable[Panel]) -> str:
    """Images with their titles, as elements that load nothing from elsewhere; an empty string for none."""
    figures = "".join(map(_figure, panels))
    return f"<div class=panels>{figures}</div>" if figures else ""


def _figure(panel: Panel) -> str:
    # As wide as its image, so that a long title wraps.
    return (
        f'<figure style="width: {panel.image.width}px"><img alt="{html.escape(panel.description)}" '
        f'src="{data_url(panel.image)}"><figcaption>{html.escape(panel.title)}</figcaption></figure>'
    )


def data_url(image: Image.Image) -> str:
    """An RGB image as a JPEG inside of a URL."""
    content = io.BytesIO()
    image.save(content, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
