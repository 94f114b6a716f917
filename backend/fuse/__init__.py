"""The texture that frames agree on: what every view reads of the atlas, and the least squares that undo
it."""
