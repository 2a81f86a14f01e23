"""One request a verb: asked, shown, written, told as Python."""
