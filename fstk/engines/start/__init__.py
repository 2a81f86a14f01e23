"""How a session starts: Java, jars, packages, addresses."""
