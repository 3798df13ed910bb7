"""Imports exports of any tool into a corpus."""
