//! The JSON Schema of policy files, by which editors complete and check them.

use schemars::generate::SchemaSettings;

use super::file::File;

/// The JSON Schema (draft 7, which editors know best) of a policy file, with a final newline.
#[must_use]
pub fn schema() -> String {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<File>();
    format!("{:#}\n", schema.as_value())
}
