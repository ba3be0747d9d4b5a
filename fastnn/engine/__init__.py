"""What makes a model work: stacks of layers, compiling, the fit loop, checks, saving, progress, advice."""
