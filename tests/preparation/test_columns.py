from tgdi_hf import prepare
from tgdi_hf.preparation.columns import HELPERS

from .preparation_stubs import POST, StubCaptioner, StubGrounder, posts, saved_image


def test_helper_columns_are_left_out_of_the_output(tmp_path, options):
    table = posts({**POST, "image": saved_image(tmp_path, "a.png"), "topic": "politics"})
    done = prepare(table, tmp_path / "out", StubCaptioner(), StubGrounder(), **options)
    columns = done.dataset["train"].column_names
    assert not set(HELPERS) & set(columns)
    assert not [name for name in columns if name.startswith("_")]
    assert "topic" in columns
