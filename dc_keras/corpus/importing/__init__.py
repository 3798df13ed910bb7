"""From exports of any tool to a corpus."""
