"""Stores on other machines: one driver for each service, and the flight of many requests at once."""
