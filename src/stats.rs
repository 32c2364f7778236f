//! Pure numerics: e-processes, confidence sequences, noise, power. Knows no rollout.
