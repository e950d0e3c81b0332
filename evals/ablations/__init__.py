"""What each method adds, left out or exchanged, beside placebos on three generated worlds: `whyrec ablate`."""
