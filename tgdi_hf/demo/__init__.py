"""The embedded corpus, tiny models, the demo and the web page."""
