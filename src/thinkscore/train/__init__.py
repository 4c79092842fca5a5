"""Training recipes, one readable file each; torch is needed here and nowhere else."""
