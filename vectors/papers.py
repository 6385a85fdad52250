"""What to cite for published word vectors, as BibTeX."""

GLOVE = """\
@inproceedings{pennington2014glove,
  title     = {{GloVe}: Global Vectors for Word Representation},
  author    = {Pennington, Jeffrey and Socher, Richard and Manning, Christopher D.},
  booktitle = {Proceedings of EMNLP},
  year      = {2014},
  pages     = {1532--1543},
  doi       = {10.3115/v1/D14-1162}
}"""
GLOVE_2024 = """\
@misc{carlson2025glove,
  title  = {A New Pair of {GloVes}},
  author = {Carlson, Riley and Bauer, John and Manning, Christopher D.},
  year   = {2025},
  eprint = {2507.18103},
  archiveprefix = {arXiv}
}"""
WORD2VEC = """\
@inproceedings{mikolov2013distributed,
  title     = {Distributed Representations of Words and Phrases and their Compositionality},
  author    = {Mikolov, Tomas and Sutskever, Ilya and Chen, Kai and Corrado, Greg S. and Dean, Jeff},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {26},
  year      = {2013}
}"""
FASTTEXT = """\
@inproceedings{mikolov2018advances,
  title     = {Advances in Pre-Training Distributed Word Representations},
  author    = {Mikolov, Tomas and Grave, Edouard and Bojanowski, Piotr and Puhrsch, Christian and Joulin, Armand},
  booktitle = {Proceedings of LREC},
  year      = {2018}
}"""
