//! Signatures as Standard Webhooks has them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;

/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// How long a secret is, in bytes.
const LENGTH: std::ops::RangeInclusive<usize> = 24..=64;

/// Signs messages with one receiver's secret.
#[derive(Debug, Clone)]
pub struct Signer {
    key: SecretSlice<u8>,
}

impl Signer {
    /// Reads a secret: `whsec_` and the Base64 of 24 to 64 random bytes.
    ///
    /// # Errors
    /// A sentence that says how it must look; it does not contain the secret.
    pub fn new(secret: &SecretString) -> Result<Self, String> {
        let wrong = || {
            "the secret must be `whsec_` followed by the Base64 of 24 to 64 random bytes, \
             as `printf 'whsec_%s\\n' \"$(openssl rand -base64 32)\"` makes it"
                .to_owned()
        };
        let encoded = secret.expose_secret().strip_prefix(PREFIX).ok_or_else(wrong)?;
        let key: SecretSlice<u8> = STANDARD.decode(encoded).map_err(|_| wrong())?.into();
        if LENGTH.contains(&key.expose_secret().len()) { Ok(Self { key }) } else { Err(wrong()) }
    }

    /// The value of `webhook-signature` for a message sent at `timestamp` (seconds since the Unix epoch).
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        // HMAC takes a key of any length, so this always is a signature; an empty one would be refused by everybody.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key.expose_secret()) else {
            return String::new();
        };
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}
