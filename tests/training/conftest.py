import pytest


@pytest.fixture
def tiny(_tiny, model):
    return model, _tiny[1]
