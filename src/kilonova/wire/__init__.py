"""What crosses HTTP: requests, answers, limits, signatures and errors. Nothing here does I/O."""
