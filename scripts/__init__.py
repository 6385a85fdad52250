"""The commands: each file is one verb, `glove-bilstm <verb>`."""
