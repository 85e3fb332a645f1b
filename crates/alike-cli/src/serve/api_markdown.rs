//! `docs/api.md`, made from the OpenAPI document.

use std::fmt::Write;

use serde_json::Value;

use super::router;
use crate::pages::cell;

/// The page.
pub(crate) fn page() -> String {
    let document = serde_json::to_value(router::document()).unwrap_or_default();
    let mut page = String::from(
        "# The server's interface\n\nGenerated from the OpenAPI document by `just docs`; do not edit. A running `alike \
         serve` gives the document itself at `/openapi.json`.\n\n",
    );
    let _ = writeln!(page, "{}", text(&document["info"]["description"]));
    page.push_str("\n| request | what it does |\n|---|---|\n");
    let operations = operations(&document);
    for (name, operation) in &operations {
        let _ = writeln!(page, "| `{name}` | {} |", text(&operation["summary"]));
    }
    for (name, operation) in &operations {
        let _ = write!(page, "\n## `{name}`\n\n{}\n", text(&operation["summary"]));
        if let Some(more) = operation["description"].as_str() {
            let _ = write!(page, "\n{more}\n");
        }
        if let Some(scopes) = operation["security"][0]["key"].as_array() {
            let scope = scopes.first().map_or("any".into(), |scope| format!("one with `{}`", plain(scope)));
            let _ = write!(page, "\nKey, where the server asks for one: {scope}.\n");
        }
        parameters(&mut page, operation);
        if let Some(content) = operation["requestBody"]["content"].as_object() {
            let kinds: Vec<String> = content.iter().map(|(kind, c)| of_kind(kind, &c["schema"])).collect();
            let _ = write!(page, "\nBody: {}.\n", kinds.join("; or "));
        }
        page.push_str("\n| status | answer |\n|---|---|\n");
        for (status, response) in operation["responses"].as_object().into_iter().flatten() {
            let content = response["content"].as_object().and_then(|c| c.iter().next());
            let body = content.map(|(kind, c)| of_kind(kind, &c["schema"])).unwrap_or_default();
            let _ = writeln!(page, "| {status} | {} ({body}) |", text(&response["description"]));
        }
    }
    page.push_str("\n# Bodies\n");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        body(&mut page, name, schema);
    }
    page
}

/// Method and path, and what the document says of it, in the order of paths.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let methods = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), operation))
    });
    methods.collect()
}

fn parameters(page: &mut String, operation: &Value) {
    let Some(parameters) = operation["parameters"].as_array().filter(|p| !p.is_empty()) else { return };
    page.push_str(
        "\n| parameter | in | type | allowed | default | what it is |\n|---|---|---|---|---|---|\n",
    );
    for p in parameters {
        let schema = &p["schema"];
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} | {} |",
            text(&p["name"]),
            text(&p["in"]),
            kind(schema),
            allowed(schema),
            plain(&schema["default"]),
            text(&p["description"]),
        );
    }
}

fn body(page: &mut String, name: &str, schema: &Value) {
    let _ = write!(page, "\n## {name}\n\n{}\n", text(&schema["description"]));
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words.iter().map(|w| format!("`{}`", plain(w))).collect();
        let _ = write!(page, "\nOne of {}.\n", words.join(", "));
    }
    if let Some(either) = schema["oneOf"].as_array() {
        if either.iter().all(|e| e["enum"].is_array()) {
            for e in either {
                let _ = write!(page, "\n- `{}`: {}", plain(&e["enum"][0]), text(&e["description"]));
            }
            page.push('\n');
        } else {
            let kinds: Vec<String> = either.iter().map(kind).collect();
            let _ = write!(page, "\nEither {}.\n", kinds.join(" or "));
        }
    }
    let parts = schema["allOf"].as_array().map_or_else(|| vec![schema], |parts| parts.iter().collect());
    for part in &parts {
        if part["$ref"].is_string() {
            let _ = write!(page, "\nEverything of {}, and:\n", kind(part));
        }
    }
    let mut head = false;
    for part in parts {
        let needed: Vec<&str> =
            part["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (field, schema) in part["properties"].as_object().into_iter().flatten() {
            if !std::mem::replace(&mut head, true) {
                page.push_str("\n| field | type | needed | allowed | default | what it is |\n|---|---|---|---|---|---|\n");
            }
            let _ = writeln!(
                page,
                "| `{field}` | {} | {} | {} | {} | {} |",
                kind(schema),
                if needed.contains(&field.as_str()) { "yes" } else { "" },
                allowed(schema),
                plain(&schema["default"]),
                text(&schema["description"]),
            );
        }
    }
}

fn of_kind(content: &str, schema: &Value) -> String {
    let kind = kind(schema);
    if content == "application/json" { kind } else { format!("`{content}`") }
}

/// The type of a schema, in words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|r| r.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(either) = schema["oneOf"].as_array() {
        let kinds: Vec<String> = either.iter().filter(|e| e["type"] != "null").map(kind).collect();
        return kinds.join(" or ");
    }
    match &schema["type"] {
        Value::String(name) if name == "array" => format!("list of {}", kind(&schema["items"])),
        Value::String(name) => name.clone(),
        Value::Array(names) => {
            let names = names.iter().filter_map(Value::as_str).filter(|n| *n != "null");
            let mut own = schema.clone();
            names
                .map(|name| {
                    own["type"] = name.into();
                    kind(&own)
                })
                .collect::<Vec<_>>()
                .join(" or ")
        }
        _ => "any".into(),
    }
}

/// The range or the words that a schema allows.
fn allowed(schema: &Value) -> String {
    let range = |from: &str, to: &str, what: &str| match (&schema[from], &schema[to]) {
        (Value::Null, Value::Null) => None,
        (from, to) => Some(format!("{}..={}{what}", plain(from), plain(to))),
    };
    let words = schema["enum"].as_array().or_else(|| schema["oneOf"][0]["enum"].as_array());
    let either = schema["oneOf"].as_array().into_iter().flatten().filter_map(|e| e["enum"][0].as_str());
    let either: Vec<&str> = either.collect();
    range("minimum", "maximum", "")
        .or_else(|| range("minLength", "maxLength", " characters"))
        .or_else(|| range("minItems", "maxItems", " entries"))
        .or_else(|| (!either.is_empty()).then(|| either.join(", ")))
        .or_else(|| words.map(|w| w.iter().map(plain).collect::<Vec<_>>().join(", ")))
        .unwrap_or_default()
}

/// A value as it would be written.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(n) => n
            .as_f64()
            .filter(|f| f.fract() == 0.0 && f.abs() < 1e15)
            .map_or_else(|| n.to_string(), |f| format!("{f:.0}")),
        other => other.to_string(),
    }
}

/// A text on one line, for a table's cell.
fn text(value: &Value) -> String {
    cell(value.as_str().unwrap_or_default())
}
