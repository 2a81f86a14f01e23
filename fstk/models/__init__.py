"""Training set → model and back: models carry the feature lookups they were trained with, and score with them."""
