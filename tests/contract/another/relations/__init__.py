"""A family as unlike Segger as the frame allows: the contract must hold for it without a word about it."""
