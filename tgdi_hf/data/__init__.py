"""Posts and corpora become datasets, datasets become batches."""
