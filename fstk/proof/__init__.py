"""Whether features know the future, proven: it is rewritten, they are made again, and nothing may change."""
