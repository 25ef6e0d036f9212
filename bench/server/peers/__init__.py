"""The model as each peer serves it. Run in the peers' own environments (`hack.peers`), never imported."""
