//! The part of Go's `text/template` that bodies of webhooks are written in.
//!
//! Known are the fields of the event (`{{.UniqueID.Hex}}`, `{{.Target.Value}}`, `{{.Kind.Name}}`, `{{.Error}}` …),
//! `{{printf "%q" .Field}}`, `{{.EndCustomData}}`, lookups in it, and `{{if X}}…{{else}}…{{end}}`.

use crate::demo::tsuru::{Event, Start, rfc3339};

/// Fills in a template.
///
/// # Errors
/// It asks for something that an event does not have; Tsuru then does not call the hook at all.
pub(super) fn render(template: &str, event: &Event) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = template;
    // For each open `if`: whether its present part is written.
    let mut open: Vec<bool> = Vec::new();
    while let Some((text, tail)) = rest.split_once("{{") {
        let (action, tail) = tail.split_once("}}").ok_or("an action is not closed")?;
        let written = open.iter().all(|is| *is);
        if written {
            out.push_str(text);
        }
        rest = tail;
        match action.trim() {
            "end" => {
                open.pop().ok_or("an `end` without an `if`")?;
            }
            "else" => {
                let last = open.last_mut().ok_or("an `else` without an `if`")?;
                *last = !*last;
            }
            action => {
                if let Some(condition) = action.strip_prefix("if ") {
                    open.push(!written || !value(condition, event)?.is_empty());
                } else if written {
                    out.push_str(&value(action, event)?);
                }
            }
        }
    }
    if !open.is_empty() {
        return Err("an `if` is not closed".to_owned());
    }
    out.push_str(rest);
    Ok(out)
}

fn value(expression: &str, event: &Event) -> Result<String, String> {
    let expression = expression.trim();
    if let Some(quoted) = expression.strip_prefix("printf \"%q\" ") {
        return value(quoted, event).map(|text| format!("{text:?}"));
    }
    let image = event.end_image.as_deref();
    match expression {
        ".UniqueID.Hex" => Ok(event.id.to_string()),
        ".Target.Type" => Ok("app".to_owned()),
        ".Target.Value" => Ok(event.app.clone()),
        ".Kind.Name" | ".Kind" => Ok(event.kind.to_owned()),
        ".Kind.Type" => Ok(if event.internal { "internal" } else { "permission" }.to_owned()),
        ".Owner.Name" => Ok(event.owner.1.clone()),
        ".Owner.Type" => Ok(event.owner.0.to_owned()),
        ".Error" => Ok(event.error.clone()),
        ".StartTime" => Ok(rfc3339(event.started)),
        ".EndTime" => Ok(event.ended.map(rfc3339).unwrap_or_default()),
        ".EndCustomData" | ".EndCustomData.Value" => {
            Ok(image.map(|image| format!("{{\"image\": {image:?}}}")).unwrap_or_default())
        }
        "(.EndCustomData.Document.Lookup \"image\").StringValue" => {
            image.map(str::to_owned).ok_or_else(|| "the event has no data at its end".to_owned())
        }
        "(.StartCustomData.Document.Lookup \"newversion\").Boolean" => match &event.start {
            Start::Deploy { new_version, .. } => Ok(new_version.to_string()),
            Start::Form(_) | Start::Unit { .. } => Err("the event was not told of versions".to_owned()),
        },
        other => Err(format!("an event has no `{other}`")),
    }
}
