import pytest

from tgdi_hf.export.checking import ExportCheck, check_export


@pytest.fixture
def rows():
    posts = [("Ann meets Bob in Rome", "Ann", "Bob"), ("Bob meets Ann", "Bob", "Ann"), ("Ann in Rome", "Ann", "Rome")]
    return [{"text": text, "head": head, "tail": tail, "label": 0} for text, head, tail in posts]


def test_an_export_has_the_answers_of_its_model(onnx_folder, source, rows):
    done = check_export(onnx_folder, *source, rows, batch_size=2)
    assert (done.rows, done.changed) == (3, 0) and 0 <= done.largest_difference < 1e-4


def test_answers_of_another_model_are_counted(onnx_folder, source, rows, monkeypatch):
    """The classifier of the model is turned round, so that no most likely relation remains."""
    model, processor = source
    bias = model.classifier.bias
    weight = model.classifier.weight
    with monkeypatch.context() as patch:
        patch.setattr(weight, "data", -weight.data)
        patch.setattr(bias, "data", -bias.data)
        done = check_export(onnx_folder, model, processor, rows)
    assert done.changed == 3 and done.largest_difference > 0.1
    assert check_export(onnx_folder, model, processor, rows).changed == 0


def test_there_must_be_rows(onnx_folder, source):
    with pytest.raises(ValueError, match="Expected rows to compare the export with the model; got none"):
        check_export(onnx_folder, *source, [])


def test_a_check_is_json():
    assert ExportCheck(2, 1, 0.5)._asdict() == {"rows": 2, "changed": 1, "largest_difference": 0.5}
