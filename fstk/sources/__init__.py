"""Files, frames and queries become sources: events as they came, with no type guessed and nothing appended twice."""
