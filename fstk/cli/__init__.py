"""The ``fstk`` command: one grammar for the terminal and for magics; a verb module per subject.

The grammar must be there at once: what a verb needs is imported when the verb is called.
"""
