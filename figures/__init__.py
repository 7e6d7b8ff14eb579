"""One module per figure, which draws it and declares it as its ``EXHIBIT``; style.py has what all share."""
