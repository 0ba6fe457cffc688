"""Building a model from two pretrained encoders and fine-tuning it."""
