"""The model: its configuration, and the BiLSTM with its classification head."""
