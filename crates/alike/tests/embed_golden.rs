//! ONNX encoders against ONNX Runtime and Pillow in Python, see `golden/embed.py`. Without ONNX Runtime on
//! the machine these tests say so and check nothing.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use alike::Result;
use alike::embed::Encoder;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    texts: Vec<String>,
    text_cases: Vec<Case>,
    pictures: Vec<String>,
    image_cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    model: Option<String>,
    toml: String,
    expected: Vec<Vec<f32>>,
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/embed").join(name)
}

fn cases() -> Golden {
    serde_json::from_str(&fs::read_to_string(golden("expected.json")).unwrap()).unwrap()
}

#[path = "../../skipped.rs"]
mod skipped;

/// The encoder; `None` where the machine has no ONNX Runtime.
fn here(encoder: Result<Encoder>) -> Option<Encoder> {
    match encoder {
        Err(e) if e.to_string().contains("need ONNX Runtime") => {
            assert!(std::env::var_os("ORT_DYLIB_PATH").is_none(), "the library was named: {e}");
            skipped::skipped("onnxruntime", &e.to_string());
            None
        }
        other => Some(other.unwrap()),
    }
}

fn toml(folder: &tempfile::TempDir, case: &Case) -> PathBuf {
    let path = folder.path().join(format!("{}.toml", case.name));
    fs::write(&path, &case.toml).unwrap();
    path
}

fn near(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().map(|v| v * v).sum::<f32>().sqrt();
    let far = found.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
    assert!(far <= tolerance * size, "{what}: {far} of {size}: {found:?}, expected {expected:?}");
}

#[test]
fn texts_are_encoded_as_in_python() {
    let base = tempfile::tempdir().unwrap();
    let all = cases();
    for case in &all.text_cases {
        let settings = toml(&base, case);
        let model = golden(case.model.as_deref().unwrap());
        let encoder = Encoder::onnx_text(&model, &golden("tokenizer.json"), Some(&settings));
        let Some(encoder) = here(encoder) else { return };
        let texts: Vec<&str> = all.texts.iter().map(String::as_str).collect();
        for ((found, expected), text) in encoder.texts(&texts).into_iter().zip(&case.expected).zip(texts) {
            near(&found.unwrap(), expected, 1e-5, &format!("{}: {text}", case.name));
        }
        assert!(encoder.text(" ").is_err() && encoder.picture(b"").is_err());
    }
}

#[test]
fn pictures_are_encoded_as_in_python() {
    let base = tempfile::tempdir().unwrap();
    let all = cases();
    for case in &all.image_cases {
        let Some(encoder) = here(Encoder::onnx_image(&golden("image.onnx"), &toml(&base, case))) else {
            return;
        };
        let files: Vec<Vec<u8>> = all.pictures.iter().map(|p| fs::read(golden(p)).unwrap()).collect();
        let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        for ((found, expected), name) in
            encoder.pictures(&files).into_iter().zip(&case.expected).zip(&all.pictures)
        {
            // Decoders of JPEG round a pixel differently by a level or two of 255; everything else is the
            // same.
            let tolerance = if name.ends_with("jpg") { 0.02 } else { 1e-5 };
            near(&found.unwrap(), expected, tolerance, &format!("{}: {name}", case.name));
        }
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let all = cases();
    let good = toml(&base, &all.image_cases[0]);
    if here(Encoder::onnx_image(&golden("image.onnx"), &good)).is_none() {
        return;
    }
    let says = |made: Result<Encoder>, what: &str| {
        let text = made.err().expect("this must be refused").to_string();
        assert!(text.contains(what) && text.lines().count() == 1, "{text}");
    };
    let foreign = base.path().join("foreign.onnx");
    fs::write(&foreign, "this is no model").unwrap();
    says(Encoder::onnx_image(&foreign, &good), "foreign.onnx: is no ONNX model");
    says(Encoder::onnx_image(&base.path().join("none.onnx"), &good), "none.onnx");
    says(Encoder::onnx_image(&golden("text.onnx"), &good), "takes one input");
    says(
        Encoder::onnx_text(&golden("image.onnx"), &golden("tokenizer.json"), None),
        "image.onnx: takes pixels",
    );
    says(Encoder::onnx_text(&golden("text.onnx"), &golden("expected.json"), None), "is no tokenizer");
    let larger =
        fs::read_to_string(golden("tokenizer.json")).unwrap().replace("\"##s\":", "\"##s\":26,\"more\":");
    let tokenizer = base.path().join("tokenizer.json");
    fs::write(&tokenizer, larger).unwrap();
    says(Encoder::onnx_text(&golden("text.onnx"), &tokenizer, None), "tokens, more than");
    let settings = |text: &str| {
        let path = base.path().join("settings.toml");
        fs::write(&path, text).unwrap();
        path
    };
    let toml = settings("output = \"pooled\"\n");
    let made = Encoder::onnx_text(&golden("text.onnx"), &golden("tokenizer.json"), Some(&toml));
    says(made, "no output `pooled`; name one (`output` in the TOML file): last_hidden_state");
    let toml = settings("pad = 9\npad_token = \"[FILL]\"\n");
    let made = Encoder::onnx_text(&golden("bare.onnx"), &golden("tokenizer.json"), Some(&toml));
    says(made, "has no token `[FILL]` (`pad_token` in the TOML file)");
    let toml = settings("pooling = \"none\"\n");
    let made = Encoder::onnx_text(&golden("text.onnx"), &golden("tokenizer.json"), Some(&toml));
    says(made, "does not fit `pooling`");
}
