//! Pages that are generated are current.

use std::fs;
use std::path::Path;

use crate::world::alike;

fn is_current(page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/{page}.md"));
    let made = alike().args(["docs", page]).assert().success().get_output().stdout.clone();
    let made = String::from_utf8(made).unwrap();
    let found = fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
    assert!(found == made, "docs/{page}.md is stale: run `just docs`");
}

#[test]
fn the_page_of_the_command_line_is_current() {
    is_current("cli");
}

#[test]
fn the_page_of_the_models_is_current() {
    is_current("models");
}

#[test]
fn the_page_of_the_servers_interface_is_current() {
    is_current("api");
}
