"""What a saved model looks like from outside: its folder and its card."""
