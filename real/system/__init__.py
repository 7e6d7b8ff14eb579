"""What every wing stands on: files, locks, GPUs, interruptions, errors, and which version of the code this is."""
