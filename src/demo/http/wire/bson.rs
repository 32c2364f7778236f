//! The little of BSON that events show: documents, arrays, strings and booleans, base64-encoded.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

/// A BSON document or array of a JSON object or array; other JSON gives an empty document.
pub(in crate::demo::http) fn base64_document(value: &Value) -> String {
    BASE64_STANDARD.encode(document(value))
}

/// The code of a value's type.
pub(in crate::demo::http) fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0x0a,
        Value::Bool(_) => 0x08,
        Value::Number(_) => 0x12,
        Value::String(_) => 0x02,
        Value::Array(_) => 0x04,
        Value::Object(_) => 0x03,
    }
}

fn document(value: &Value) -> Vec<u8> {
    let mut body = Vec::new();
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| element(&mut body, name, value)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, value)| element(&mut body, &i.to_string(), value));
        }
        _ => {}
    }
    let mut all = length(body.len() + 5).to_vec();
    all.extend(body);
    all.push(0);
    all
}

fn element(body: &mut Vec<u8>, name: &str, value: &Value) {
    body.push(kind(value));
    body.extend(name.bytes().filter(|b| *b != 0));
    body.push(0);
    match value {
        Value::Null => {}
        Value::Bool(is) => body.push(u8::from(*is)),
        Value::Number(number) => body.extend(number.as_i64().unwrap_or(0).to_le_bytes()),
        Value::String(text) => {
            body.extend(length(text.len() + 1));
            body.extend(text.bytes());
            body.push(0);
        }
        Value::Array(_) | Value::Object(_) => body.extend(document(value)),
    }
}

fn length(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).unwrap_or(i32::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_its_length_its_fields_and_a_zero() {
        let bytes = document(&serde_json::json!({ "image": "a:v3" }));
        assert_eq!(bytes, b"\x15\0\0\0\x02image\0\x05\0\0\0a:v3\0\0");
    }
}
