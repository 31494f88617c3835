"""Stacks of mixers as whole models: blocks, channel mixers, embedding, head."""
