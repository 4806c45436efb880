"""What ``import kilonova`` gives: embedders, indexes, clients, and the contents that they take."""
