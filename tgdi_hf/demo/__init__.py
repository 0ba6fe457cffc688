"""The embedded corpus, tiny encoders, the demo and the web page."""
