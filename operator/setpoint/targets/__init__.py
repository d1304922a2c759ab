"""The kinds of target: a folder each, none of which imports another; the pipeline imports none of them."""
