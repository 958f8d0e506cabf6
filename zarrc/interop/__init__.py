"""Doors to other libraries and formats; each module imports its peer only when it is used."""
