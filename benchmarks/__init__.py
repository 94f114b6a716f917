"""What is measured, against peers and limits, in one run. Not tests: times are ratios between rows of one
table."""
