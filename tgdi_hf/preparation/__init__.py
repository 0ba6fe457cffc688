"""Captions, objects and frozen vision features, computed once per distinct image."""
