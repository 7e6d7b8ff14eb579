"""One module per figure; each is run by the rule of its name."""
