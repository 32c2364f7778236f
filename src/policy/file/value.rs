//! Values of a policy file and where they stand.
//!
//! A value that is misread does not end the reading: a [`Field`] keeps what was wrong, so that all faults of a file
//! are reported at once.

use std::borrow::Cow;
use std::ops::{Deref, Range};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

/// Why a value was not understood.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Misread {
    /// What is wrong.
    pub(in crate::policy) message: String,
    /// What to write instead.
    pub(in crate::policy) help: String,
}

impl Misread {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

/// A value that is written as a YAML scalar.
pub(in crate::policy) trait Scalar: Sized {
    /// Reads the value from its text.
    fn read(text: &str) -> Result<Self, Misread>;

    /// What editors are told of it.
    fn schema() -> Schema;
}

/// A value of the file, read or misread, and where it stands.
#[derive(Debug)]
pub(in crate::policy) struct Field<T> {
    /// The value, or why there is none.
    pub(in crate::policy) value: Result<T, Misread>,
    /// The text as YAML understood it.
    pub(in crate::policy) text: String,
    /// The bytes of the file where it stands, quotes included.
    pub(in crate::policy) at: Range<usize>,
}

impl<'de, T: Scalar> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        let at = bytes(&spanned.defined);
        Ok(Self { value: T::read(&spanned.value), text: spanned.value, at })
    }
}

/// A list, and where it stands.
pub(in crate::policy) type List<T> = At<Vec<T>>;

/// A list or mapping, and where it stands.
#[derive(Debug, Default)]
pub(in crate::policy) struct At<T> {
    /// What stands there.
    pub(in crate::policy) value: T,
    /// The bytes of the file where it stands.
    pub(in crate::policy) at: Range<usize>,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<T>::deserialize(deserializer)?;
        Ok(Self { value: spanned.value, at: bytes(&spanned.defined) })
    }
}

/// The bytes that a location means. Of text that was read from a string, the library knows them.
fn bytes(location: &serde_saphyr::Location) -> Range<usize> {
    let number = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let start = number(location.span().byte_offset());
    start..start.saturating_add(number(location.span().byte_len()))
}

/// A key's value, where the key is given. Unlike an `Option` it does not take an empty value for an absent key.
#[derive(Debug)]
pub(in crate::policy) struct Given<T>(Option<T>);

impl<T> Default for Given<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Deref for Given<T> {
    type Target = Option<T>;

    fn deref(&self) -> &Option<T> {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|value| Self(Some(value)))
    }
}

impl<T: Scalar> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        std::any::type_name::<T>().into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        T::schema()
    }
}

/// Both are written as what they hold.
macro_rules! transparent_schema {
    ($($name:ident),+) => {$(
        impl<T: JsonSchema> JsonSchema for $name<T> {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                T::schema_name()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                T::json_schema(generator)
            }
        }
    )+};
}

transparent_schema!(At, Given);
