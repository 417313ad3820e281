//! The description of the API is made from the code: the one checked in is the one served, and no route is left out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;

use common::{fournines, free_port, get};
use serde_json::Value;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn served() -> Value {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "");
    get(&format!("{}/api/openapi.json", daemon.url))
}

#[test]
fn what_is_checked_in_is_what_is_served() {
    let (served, path) = (served(), file("deploy/openapi.json"));
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&served).unwrap() + "\n").unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == serde_json::to_string_pretty(&served).unwrap() + "\n",
        "deploy/openapi.json is not what the code says: UPDATE_OPENAPI=1 cargo test --test openapi writes it anew"
    );
}

/// Every reference within a value.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(elements) => elements.iter().for_each(|element| references(element, found)),
        _ => {}
    }
}

#[test]
fn everything_referred_to_is_there() {
    let document = served();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    let missing: Vec<&String> =
        found.iter().filter(|name| document.pointer(name.trim_start_matches('#')).is_none()).collect();
    assert!(found.len() > 40 && missing.is_empty(), "{} references, missing: {missing:?}", found.len());
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let source = std::fs::read_to_string(file("src/daemon.rs")).unwrap();
    let mut routes = BTreeSet::new();
    for route in source.split(".route(").skip(1) {
        let path = route.split('"').nth(1).unwrap();
        for method in ["get", "post"] {
            let until_next = route.split_once(')').unwrap().0;
            if until_next.contains(&format!("{method}(")) {
                routes.insert(format!("{method} {path}"));
            }
        }
    }
    assert!(routes.len() > 10, "{routes:?}");
    let document = served();
    let described: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    assert_eq!(routes, described);
}
