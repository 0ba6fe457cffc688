import sys
from types import SimpleNamespace

import pytest

from examples.research.baselines.dependency_trees import chain_tree, tree_of, tree_parser


@pytest.fixture(autouse=True)
def _no_cached_parsers():
    yield
    tree_parser.cache_clear()
    tree_of.cache_clear()


class Pipeline:
    """Every word depends on the last one, as if spaCy had said so."""

    pipe_names = ("tok2vec", "parser")
    vocab = "vocabulary"

    def __init__(self):
        self.calls = []

    def __call__(self, document):
        self.calls.append(document)
        words = document.split() if isinstance(document, str) else document["words"]
        places = [document.index(word) for word in words] if isinstance(document, str) else [0] * len(words)

        class Token(SimpleNamespace):
            def __len__(self):
                return len(self.text)

        return [
            Token(text=word, idx=place, head=SimpleNamespace(i=len(words) - 1)) for word, place in zip(words, places)
        ]


def spacy_with(pipeline, monkeypatch):
    def load(name):
        if pipeline is None:
            raise OSError(f"[E050] Can't find model '{name}'")
        return pipeline

    tokens = SimpleNamespace(Doc=lambda vocab, words: {"vocab": vocab, "words": words})
    library = SimpleNamespace(load=load, tokens=tokens, __spec__=SimpleNamespace())
    monkeypatch.setitem(sys.modules, "spacy", library)


def test_a_chain_joins_neighbours():
    assert chain_tree(" Ann  met Bob") == (((1, 4), (6, 9), (10, 13)), (0, 0, 1))
    assert chain_tree("Ann-met", ((0, 3), (4, 7))) == (((0, 3), (4, 7)), (0, 0))
    assert tree_of("chain", "") == ((), ())


def test_spacy_parses_a_text_once(monkeypatch):
    pipeline = Pipeline()
    spacy_with(pipeline, monkeypatch)
    for _ in range(2):
        assert tree_of("en", "Ann met Bob") == (((0, 3), (4, 7), (8, 11)), (2, 2, 2))
        assert tree_of("en", "Ann met", ((0, 3), (4, 7))) == (((0, 3), (4, 7)), (1, 1))
    assert pipeline.calls == ["Ann met Bob", {"vocab": "vocabulary", "words": ["Ann", "met"]}]


def test_a_missing_parser_is_an_error_and_no_chain(monkeypatch):
    spacy_with(None, monkeypatch)
    with pytest.raises(ValueError, match=r"spaCy cannot load that pipeline.*E050.*or take `trees='chain'`"):
        tree_parser("en")
    pipeline = Pipeline()
    pipeline.pipe_names = ("tok2vec",)
    spacy_with(pipeline, monkeypatch)
    with pytest.raises(ValueError, match=r"'en' has no parser, only \('tok2vec',\)"):
        tree_parser("en")
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(ImportError, match=r"`trees='en'` requires spacy: pip install 'tgdi_hf\[spacy\]'"):
        tree_parser("en")


def test_trees_of_a_real_spacy_pipeline(tmp_path):
    spacy = pytest.importorskip("spacy")
    nlp = spacy.blank("en")
    nlp.add_pipe("parser").add_label("dep")
    nlp.initialize()
    nlp.to_disk(tmp_path / "pipeline")
    tree = tree_of(str(tmp_path / "pipeline"), "Ann met Bob.")
    assert tree.spans == ((0, 3), (4, 7), (8, 11), (11, 12)) and all(0 <= head < 4 for head in tree.heads)
