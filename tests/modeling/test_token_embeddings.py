import torch

from tgdi_hf.modeling.configuration_tgdi import ENTITY_MARKERS

from .conftest import VOCABULARY


def test_resizing_updates_the_configuration(model):
    model.resize_token_embeddings(VOCABULARY + 4)
    assert model.config.text_config.vocab_size == VOCABULARY + 4
    assert model.get_input_embeddings().num_embeddings == VOCABULARY + 4


def test_untrained_markers_of_a_padded_vocabulary_are_drawn_anew(model):
    class Tokenizer:
        def get_vocab(self):
            return {marker: VOCABULARY - 4 + i for i, marker in enumerate(ENTITY_MARKERS)}

        def __len__(self):
            return VOCABULARY

    tokenizer = Tokenizer()
    rows = model.get_input_embeddings().weight.data
    model.resize_to_tokenizer(tokenizer)
    kept = rows.clone()
    rows[-4:] = 0  # untrained rows
    model.resize_to_tokenizer(tokenizer)
    assert torch.equal(rows[:-4], kept[:-4]) and len(rows[-4:].unique(dim=0)) == 4
