"""Exports of annotation tools become posts, and predictions become pre-annotations."""
