"""Verbs with controls instead of words; what is clicked can be pasted, and nothing of it is saved in a notebook."""
