"""Checkpoints as graphs for ONNX Runtime and OpenVINO: export, quantisation, comparison, and running them."""
