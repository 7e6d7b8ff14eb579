"""What is asked of a model: one schema of problems, the laptop's task, and the paper's datasets."""
