"""The interactive entry: magics, pictures and completion; each parses, shows and delegates."""
