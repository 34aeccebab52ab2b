"""One thin module per verb of the command line; the work is done in the modules beside this package."""
