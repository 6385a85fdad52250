"""From text to token ids, in the way that the word vectors' own words were made."""
