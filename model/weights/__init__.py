"""Weights that ship in the package; MODEL_CARD.md says what they are and what they rest on."""
