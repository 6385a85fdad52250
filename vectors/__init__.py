"""Reading pre-trained word vectors and matching them with a vocabulary."""
