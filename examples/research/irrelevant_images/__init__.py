"""Controlled benchmark on the embedded corpus: which models are misled by images that do not belong to the text?"""
