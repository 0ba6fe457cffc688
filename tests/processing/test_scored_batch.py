import torch

from tgdi_hf.processing.scored_batch import FusedStates, RowStates, ScoredBatch

META = torch.device("meta")


def test_all_tensors_of_a_batch_move():
    branches = FusedStates(torch.zeros(4), torch.zeros(4))
    states = RowStates([1, 2], torch.zeros(3), branches, torch.zeros(5, 2), torch.zeros(5, 2))
    batch = ScoredBatch(
        [],
        probabilities=torch.zeros(1, 3),
        text_only=torch.zeros(1, 3),
        gates=torch.zeros(1, 4),
        image_mask=torch.ones(1, 1),
        image_size=(8, 8),
        states=[states],
    )
    moved = batch.to(META)
    tensors = [moved.probabilities, moved.text_only, moved.gates, moved.image_mask]
    tensors += [moved.states[0].directed, *moved.states[0].branches]
    tensors += [moved.states[0].similarity, moved.states[0].cosine]
    assert {tensor.device for tensor in tensors} == {META}
    assert (moved.image_size, moved.states[0].ids) == ((8, 8), [1, 2])
    assert batch.probabilities.device.type == "cpu"
    assert ScoredBatch([]).to(META) == ScoredBatch([])
    assert RowStates([1]).to(META) == RowStates([1])


def test_a_row_without_an_image_has_no_gate():
    batch = ScoredBatch([], gates=torch.tensor([[0.25], [0.5]]), image_mask=torch.tensor([[0, 0], [0, 1]]))
    assert batch.gate(0) is None
    assert batch.gate(1).tolist() == [0.5]
    assert ScoredBatch([], image_mask=torch.ones(1, 1)).gate(0) is None
