"""Judges: what scores a response. No torch and no vendor package is imported here."""
