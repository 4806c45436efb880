"""Where vectors are kept and searched: one contract, one file for each vector store."""
