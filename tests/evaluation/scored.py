"""Settings of quick evaluations, and given probabilities in place of those of a model."""

QUICK = dict(dataloader_num_workers=0, disable_tqdm=True)


def replace_probabilities(monkeypatch, function):
    """Puts `function` in place of the model that `probabilities_of` runs."""
    for module in ("report", "order_prior", "robustness"):
        monkeypatch.setattr(f"tgdi_hf.evaluation.{module}.probabilities_of", function)
