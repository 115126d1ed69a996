"""The workloads of the corpus, one module each."""
