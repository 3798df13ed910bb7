"""Social graphs: who shares what, and who turns to whom."""
