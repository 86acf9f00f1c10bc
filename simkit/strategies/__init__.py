"""Strategies: one file for each way of making the choices that a plan leaves open; they see counts, never live
objects."""
