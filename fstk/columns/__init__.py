"""Arrow columns as integers that compare as the values do, and a caller's values as those of a column."""
