//! The HTTP listener: webhooks in, health, metrics.
