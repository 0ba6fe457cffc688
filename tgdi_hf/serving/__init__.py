"""The HTTP server of `tgdi serve`: requests and answers as types, batches of requests, metrics, and a graceful stop."""
