"""The bundled demo: short reviews written for this project, and word vectors trained for it."""
