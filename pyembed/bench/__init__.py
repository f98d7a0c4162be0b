"""The comparison with other programs: same corpus, same settings, same cores, turn and turn about."""
