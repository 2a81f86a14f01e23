"""Labels and feature tables become a training set: what each label may honestly see, and why the rest was refused."""
