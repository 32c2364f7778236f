//! The parameters of a request, read as Tsuru reads them: from the query, from form bodies of POST, PUT and PATCH (never
//! of DELETE), and from JSON bodies where the content type says so.

use axum::http::request::Parts;
use axum::http::{Method, header};
use bytes::Bytes;
use serde_json::Value;

use crate::demo::tsuru::Failure;

/// What a request says.
#[derive(Debug)]
pub(super) struct Input {
    fields: Vec<(String, String)>,
    query: Vec<(String, String)>,
    json: Option<Value>,
    body: Bytes,
    content_type: String,
    authorization: String,
    pub(super) address: String,
    /// Which replica of the API was asked.
    pub(super) replica: usize,
}

impl Input {
    pub(super) fn new(parts: &Parts, body: &Bytes, replica: usize) -> Self {
        let header = |name| parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("");
        let content_type = header(header::CONTENT_TYPE).split(';').next().unwrap_or("").to_owned();
        let query = pairs(parts.uri.query().unwrap_or("").as_bytes());
        let mut fields = Vec::new();
        let with_form = matches!(parts.method, Method::POST | Method::PUT | Method::PATCH);
        if with_form && content_type == "application/x-www-form-urlencoded" {
            fields = pairs(body);
        }
        fields.extend(query.iter().cloned());
        let json = (content_type == "application/json").then(|| serde_json::from_slice(body).ok()).flatten();
        Self {
            fields,
            query,
            json,
            body: body.clone(),
            content_type,
            authorization: header(header::AUTHORIZATION).to_owned(),
            // Nothing depends on where a call comes from.
            address: "127.0.0.1".to_owned(),
            replica,
        }
    }

    /// The token, whatever scheme is written before it.
    pub(super) fn token(&self) -> Option<&str> {
        let parts: Vec<&str> = self.authorization.split(' ').collect();
        if parts.len() < 3 { parts.last().copied().filter(|t| !t.is_empty()) } else { None }
    }

    /// A field, from wherever it comes; empty where it is missing.
    pub(super) fn get(&self, name: &str) -> String {
        let field = self.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        field.or_else(|| self.json.as_ref()?.get(name).map(as_text)).unwrap_or_default()
    }

    /// A field that is true as Go's `strconv.ParseBool` has it; anything else is false.
    pub(super) fn flag(&self, name: &str) -> bool {
        parse_bool(&self.get(name)) == Some(true)
    }

    /// A parameter of the query; empty where it is missing.
    pub(super) fn query(&self, name: &str) -> &str {
        self.query.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    /// All fields, form or query, with the names as they were written.
    pub(super) fn fields(&self) -> &[(String, String)] {
        &self.fields
    }

    /// It says that its body is JSON.
    pub(super) fn is_json(&self) -> bool {
        self.content_type == "application/json"
    }

    /// It says that its body is made of parts.
    pub(super) fn is_multipart(&self) -> bool {
        self.content_type.starts_with("multipart/")
    }

    /// Nothing was sent.
    pub(super) fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// The body as a JSON object.
    pub(super) fn object(&self) -> Result<serde_json::Map<String, Value>, Failure> {
        if self.body.is_empty() {
            return Ok(serde_json::Map::new());
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(self.not_json("json: cannot unmarshal into Go value")),
            Err(error) => Err(self.not_json(&error.to_string())),
        }
    }

    /// The refusal of a body that is not the JSON that was expected.
    pub(super) fn not_json(&self, why: &str) -> Failure {
        let body = String::from_utf8_lossy(&self.body);
        Failure { status: 400, text: format!("unable to parse as json: {body:?} - {why}") }
    }
}

/// Go's `strconv.ParseBool`.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A JSON value as Go prints it.
fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        other => other.to_string(),
    }
}

/// The pairs of a query or form.
fn pairs(text: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(text);
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (form_decode(name), form_decode(value))
        })
        .collect()
}

fn form_decode(text: &str) -> String {
    percent_decode(&text.replace('+', " "))
}

/// Replaces `%3A` and its like by what they stand for; what stands for nothing stays.
pub(super) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let hex = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
        match (bytes[index], hex(index + 1), hex(index + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                index += 3;
            }
            (byte, _, _) => {
                decoded.push(byte);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(method: &str, uri: &str, headers: &[(&str, &str)], body: &str) -> Input {
        let mut request = axum::http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        Input::new(&parts, &Bytes::copy_from_slice(body.as_bytes()), 0)
    }

    const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

    #[test]
    fn form_bodies_count_for_all_methods_but_delete() {
        assert_eq!(input("PUT", "/x?units=1", &[FORM], "units=2").get("units"), "2");
        assert_eq!(input("DELETE", "/x?units=1", &[FORM], "units=2").get("units"), "1");
        assert_eq!(input("DELETE", "/x", &[FORM], "units=2").get("units"), "");
        assert_eq!(
            input("DELETE", "/x", &[("Content-Type", "application/json")], "{\"units\":2}").get("units"),
            "2"
        );
    }

    #[test]
    fn the_last_word_of_the_authorization_is_the_token() {
        for (value, token) in [
            ("bearer abc", Some("abc")),
            ("abc", Some("abc")),
            ("Basic abc", Some("abc")),
            ("a b c", None),
            ("", None),
        ] {
            assert_eq!(input("GET", "/", &[("Authorization", value)], "").token(), token, "{value}");
        }
    }

    #[test]
    fn forms_are_decoded() {
        let form = input(
            "POST",
            "/",
            &[FORM],
            "image=toy%3Aerrors%3D5%25%2Clatency%3D%2B30%25&message=a+b&x=%zz&=&",
        );
        assert_eq!(form.get("image"), "toy:errors=5%,latency=+30%");
        assert_eq!((form.get("message").as_str(), form.get("x").as_str()), ("a b", "%zz"));
    }
}
