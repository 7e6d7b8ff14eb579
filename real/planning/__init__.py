"""What a scale costs, what would stop it, and how far it is."""
