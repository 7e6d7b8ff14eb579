"""What trains a run, and the files that every engine writes."""
