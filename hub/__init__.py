"""A saved model's folder and card, and pushing it to the Hub."""
