"""What the commands share: flags, start, progress and errors."""
