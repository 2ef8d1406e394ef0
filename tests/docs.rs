//! The documents say what the code says.

use std::path::Path;

use securityhotfix::api::SecurityCheck;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The variants of `Reason`, read off its source, but for the one that stands for unknown ones.
fn reasons() -> Vec<String> {
    let source = read("src/api/conditions.rs");
    let body =
        source.split("pub enum Reason {").nth(1).and_then(|rest| rest.split("\n}").next()).expect("Reason is an enum");
    let variants = body.lines().map(str::trim).filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    variants.map(|line| line.trim_end_matches(',').to_owned()).filter(|name| name != "Other").collect()
}

#[test]
fn every_reason_has_a_runbook_and_every_runbook_a_reason() {
    let runbooks = read("docs/runbooks.md");
    let entries: Vec<&str> = runbooks.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let reasons = reasons();
    assert!(reasons.len() > 40, "the reasons were not found in their source");
    for reason in &reasons {
        assert!(entries.contains(&reason.as_str()), "{reason} has no entry in docs/runbooks.md");
    }
    for entry in entries {
        assert!(reasons.iter().any(|reason| reason == entry), "{entry} is no reason");
    }
}

#[test]
fn every_dependency_has_a_line_in_the_architecture() {
    let architecture = read("ARCHITECTURE.md");
    let manifest = read("Cargo.toml");
    let sections = manifest
        .split("\n[")
        .filter(|section| section.starts_with("dependencies]") || section.starts_with("dev-dependencies]"));
    let names: Vec<&str> = sections
        .flat_map(str::lines)
        .filter(|line| line.contains('=') && !line.starts_with('#'))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .collect();
    assert!(names.len() > 10, "the dependencies were not found in Cargo.toml");
    for name in names {
        assert!(architecture.contains(name), "{name} has no line in ARCHITECTURE.md");
    }
}

#[test]
fn every_check_in_the_guide_can_be_applied() {
    let guide = read("docs/checks.md");
    let blocks: Vec<&str> = guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 4, "the examples were not found in docs/checks.md");
    for block in blocks {
        let check: SecurityCheck = serde_saphyr::from_str(block).unwrap_or_else(|error| panic!("{block}: {error}"));
        let told = serde_json::to_value(&check.spec).unwrap();
        let written: serde_json::Value = serde_saphyr::from_str(block).unwrap();
        for (kind, fields) in written["spec"].as_object().unwrap() {
            for field in fields.as_object().unwrap().keys() {
                assert!(told[kind].get(field).is_some(), "{block}: {kind} has no field {field}");
            }
        }
    }
}
