//! Who may come in: bearer tokens.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Whether the request shows the token as `Authorization: Bearer …`. The comparison takes the same time whatever was
/// shown.
pub(super) fn is_shown(token: &SecretString, headers: &HeaderMap) -> bool {
    let shown = headers.get(AUTHORIZATION).map_or(&[][..], |v| v.as_bytes());
    let (scheme, shown) = shown.split_at_checked(7).unwrap_or((&[], &[]));
    let hash = |bytes: &[u8]| Sha256::digest(bytes);
    let same = hash(shown.trim_ascii()).ct_eq(&hash(token.expose_secret().as_bytes()));
    scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(same)
}
