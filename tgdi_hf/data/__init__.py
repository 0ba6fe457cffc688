"""Loads posts and corpora as datasets, and collates their rows into batches."""
