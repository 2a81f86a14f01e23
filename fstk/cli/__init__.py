"""The ``fstk`` command: one grammar for the terminal and for magics; a verb module per subject."""
