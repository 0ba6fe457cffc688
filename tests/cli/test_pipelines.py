from tgdi_hf.cli.pipelines import load_pipeline


def test_a_pipeline_is_compiled_on_request(checkpoint, monkeypatch):
    compiled = []
    monkeypatch.setattr("tgdi_hf.inference.compiled_model.compile_model", compiled.append)
    load_pipeline(str(checkpoint), bf16=False)
    assert not compiled
    pipe = load_pipeline(str(checkpoint), bf16=False, compiled=True)
    assert compiled == [pipe.model]
