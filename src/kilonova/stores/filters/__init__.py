"""Conditions on payloads, and their forms for stores."""
