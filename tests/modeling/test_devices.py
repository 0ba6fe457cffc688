import pytest
import torch

from tgdi_hf.modeling.devices import can_read_values, on_device_of

CPU, META = torch.zeros(2), torch.zeros(2, device="meta")


def test_a_tensor_moves_only_if_the_devices_differ():
    assert on_device_of(CPU, torch.ones(3)) is CPU
    assert on_device_of(CPU, META).device == META.device


def test_values_are_read_on_the_cpu_only():
    assert can_read_values(CPU) and can_read_values(CPU, CPU)
    assert not can_read_values(META)
    assert not can_read_values(CPU, META)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of `torch.jit.trace`
def test_values_are_not_read_while_a_graph_is_recorded():
    found = []

    def record(tensor):
        found.append(can_read_values(tensor))
        return tensor + 1

    torch.jit.trace(record, (CPU,), check_trace=False)
    assert found == [False]
