"""Tokenizer files of every layout: reading and writing."""
