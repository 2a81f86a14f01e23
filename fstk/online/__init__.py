"""Online rows: the newest feature row of each key, published to a key-value store and read back by key."""
