//! The loop that runs rollouts.
