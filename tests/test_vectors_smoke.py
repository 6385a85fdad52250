from glove_bilstm import load_vectors


def test_bundled_vectors_load() -> None:
    vectors = load_vectors("demo", limit=99)
    assert vectors.matrix.shape == (99, 50)
