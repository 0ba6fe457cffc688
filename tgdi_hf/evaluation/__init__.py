"""Metrics, scoring, confidence intervals, reports, and the search for label leaks."""
