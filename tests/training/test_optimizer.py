import pytest

from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.training.optimizer import optimizer_for
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.trainer import make_trainer

from .trainers import PLAIN


def test_new_modules_have_their_own_learning_rate(corpus):
    model, _ = tiny_tgdi(corpus, toi_share_text_encoder=False)
    arguments = training_arguments("unused", learning_rate=1e-5, weight_decay=0.1)
    rates = {
        id(p): (group["lr"], group["weight_decay"])
        for group in optimizer_for(model, arguments, fusion_learning_rate=1e-3).param_groups
        for p in group["params"]
    }
    by_name = {name: rates[id(p)] for name, p in model.named_parameters()}
    assert by_name["tgdi.text_encoder.embeddings.word_embeddings.weight"] == (1e-5, 0.1)
    assert by_name["tgdi.text_oriented.layers.0.attention.self.query.bias"] == (1e-5, 0.0)
    assert by_name["tgdi.text_oriented.prefix.layers.0.weight"] == (1e-5, 0.1)
    assert by_name["tgdi.visual_prompts.prefix.layers.0.weight"] == (1e-3, 0.1)
    assert by_name["classifier.bias"] == (1e-3, 0.0)
    assert {rate for rate, _ in rates.values()} == {1e-5, 1e-3}


def test_the_requested_optimizer_is_used(corpus, tmp_path):
    model, processor = tiny_tgdi(corpus)
    for rate in (None, 1e-3):
        arguments = training_arguments(tmp_path, optim="adafactor", max_steps=1, **PLAIN)
        trainer = make_trainer(model, processor, corpus, arguments, fusion_learning_rate=rate)
        trainer.train()
        assert type(trainer.optimizer.optimizer).__name__ == "Adafactor"
    arguments.optim = "galore_adamw"
    with pytest.raises(Exception, match="galore|GaLore"):
        optimizer_for(model, arguments, 1e-3)
