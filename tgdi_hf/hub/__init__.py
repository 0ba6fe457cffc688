"""Sharing a model: upload, model card, and the handler of an endpoint."""
