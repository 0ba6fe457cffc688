"""The experiments with each system's own recipe, and the models that experiments name."""

import pytest

from examples.research.baselines import BASELINES
from examples.research.reproduce.experiments import CONFIGS, read_experiments
from examples.research.reproduce.train import RECIPE, identity_of

# Learning rate, epochs and batch size of the papers or, where these are silent, of their code; TGDI's paper leaves the
# epochs out, so that they are the shared ones. The optimizer is AdamW for all; with a weight decay of 0 it is Adam.
OWN_RECIPES = {
    "hvpnet": (3e-5, 15, 16),
    "mkgformer": (1e-5, 12, 32),
    "mega": (2e-5, 10, 32),
    "tgdi-paper": (3e-5, RECIPE["num_train_epochs"], 16),
    "umgf": (1e-4, 30, 16),
    "umt": (5e-5, 24, 16),
}
NAMES = ("learning_rate", "num_train_epochs", "per_device_train_batch_size")


@pytest.mark.parametrize("group", sorted(folder.name for folder in CONFIGS.iterdir()))
def test_every_experiment_names_a_known_model(group):
    assert {experiment.model for experiment in read_experiments(group)} <= {"tgdi", *BASELINES}


def test_own_recipes_override_the_shared_one_and_the_command_line():
    found, decays = {}, {}
    for experiment in read_experiments("own_recipe"):
        assert experiment.name.removesuffix("-paper") == experiment.model
        given = {"learning_rate": 1.0, "per_device_train_batch_size": 1}
        recipe = identity_of(experiment, {}, "text", "vision", None, "none", "validation", given)["recipe"]
        found[experiment.name] = tuple(recipe[name] for name in NAMES)
        decays[experiment.name] = recipe["weight_decay"]
        rate, epochs, batch = (experiment.arguments.get(name) for name in NAMES)
        epochs = f", {epochs} epochs" if epochs else ""
        assert experiment.title.endswith(f", learning rate {rate:.0e}{epochs}, batch {batch}".replace("e-0", "e-"))
    assert found == OWN_RECIPES
    assert {name for name, decay in decays.items() if decay == 0} == {"umgf"}  # Adam
