"""A finished run, as it is recorded in a file."""


def result(name, seed, f1):
    return {
        "experiment": {"name": name},
        "seed": seed,
        "split": "validation",
        "scores": {"accuracy": 0.5, "precision": 0.4, "recall": 0.6, "f1": f1},
        "macro_f1": 0.3,
        "per_relation": {"/per/per/peer": {"precision": 0.1, "recall": 0.2, "f1": f1 / 2, "support": 7}},
        "epochs": [0.1, f1],
        "direction": {"rows": 10, "listed": 0.1, "swapped": 0.9},
        "as_listed": None,
        "train_rows": 100,
        "seconds": 60,
        "seconds_per_step": 0.25,
        "command": "python -m examples.research.reproduce run",
        "encoders": ["text", "vision"],
        "recipe": {"num_train_epochs": 3},
        "commit": "abc",
        "versions": {"torch": "2"},
    }
