"""What a search box offers while somebody types."""
