"""Models over HTTP: a request names an entity, its features are looked up online, the model answers."""
