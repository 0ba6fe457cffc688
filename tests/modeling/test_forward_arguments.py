import pytest

from tgdi_hf.modeling.forward_arguments import reject_unknown_arguments


class Model:
    def forward(self, input_ids, attention_mask=None, **kwargs):
        reject_unknown_arguments(self.forward, kwargs)


def test_arguments_without_effect_are_accepted():
    Model().forward(1, attention_mask=2, use_cache=False, task_ids=None)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("input_id", "did you mean `input_ids`"), ("use_cache", "expected one of input_ids, attention_mask")],
)
def test_unknown_arguments_are_rejected_with_a_hint(name, hint):
    with pytest.raises(TypeError, match=rf"Model\.forward got an unexpected argument `{name}`; {hint}"):
        Model().forward(1, **{name: 1})
