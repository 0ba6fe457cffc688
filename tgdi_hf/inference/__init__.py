"""Relations of one post or a file of any size, triples, and explanations."""
