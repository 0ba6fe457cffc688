"""Upload to the Hub, the model card, and the request handler of an endpoint."""
