"""From a data set and word vectors to a trained model."""
