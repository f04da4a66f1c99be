"""Package nfig.v1, generated from proto/nfig/v1 by `make proto`."""
